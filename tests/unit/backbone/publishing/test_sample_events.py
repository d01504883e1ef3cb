from __future__ import annotations

from typing import Any

import msgspec
import pytest

from backbone.catalog.view import CatalogView
from backbone.publishing.sample_events import sample_record
from schemas.avro.attributes import AttributeKind
from schemas.model.access import Client
from schemas.model.errors import InvalidEvent
from schemas.model.event_type import Attribute, EventType

CLIENT = Client(id="c", workspace="acme", name="c", created_at=0, updated_at=0)
TYPES = [f"{kind}(38,38)" if kind is AttributeKind.DECIMAL else str(kind) for kind in AttributeKind]


def event_type(**fields: Any) -> EventType:
    return EventType(
        workspace="acme",
        namespace="shop",
        code="Order",
        effective_partitions=1,
        schema_id=1,
        created_at=0,
        updated_at=0,
        attributes=tuple(Attribute(name=f"a{number}", type=name) for number, name in enumerate(TYPES)),
        **fields,
    )


def test_an_event_is_made_up_for_attributes_of_every_type() -> None:
    _, record = sample_record(CatalogView(), event_type(), CLIENT, None)
    assert record.topic == event_type().topic


def test_a_compacted_type_needs_its_key_only_from_events_that_somebody_wrote() -> None:
    compacted = event_type(compacted=True, partition_key="identifier.order")
    assert sample_record(CatalogView(), compacted, CLIENT, None)[1].value
    assert sample_record(CatalogView(), msgspec.structs.replace(compacted, open=True, attributes=()), CLIENT, None)
    with pytest.raises(InvalidEvent):
        sample_record(CatalogView(), compacted, CLIENT, b"{}")
