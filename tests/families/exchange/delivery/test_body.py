"""What Exchange pushes: the document's members, and every value as the text that was sent."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from connectors.shared.body import OutgoingEvent
from families.exchange.delivery import body as exchange
from schemas.avro.codec import DecodedEvent, EventDecoder
from schemas.avro.schema import schema_text
from schemas.avro.validation import EventWriter
from schemas.model import timestamps
from schemas.model.access import Client, Realm
from schemas.model.event import EventDraft, Identifier
from schemas.model.event_type import Attribute, EventType

TYPES = {"productID": "String", "orderTotal": "Number", "gift": "Boolean", "at": "Time", "note": "json"}
PUBLISHER = Client(
    id="pub-1", workspace="shop", name="Web shop", realm=Realm("exchange"), provider="Acme", created_at=0, updated_at=0
)
EMAIL = Identifier("email", "someone@example.org")


def decoded(*, open_: bool = False, **draft: Any) -> DecodedEvent:
    attributes = () if open_ else tuple(Attribute(name=name, type=type_) for name, type_ in TYPES.items())
    event_type = EventType(
        workspace="shop",
        namespace="exchange",
        code="ibmproductView",
        attributes=attributes,
        open=open_,
        effective_partitions=1,
        schema_id=7,
        created_at=0,
        updated_at=0,
    )
    text = schema_text(workspace="shop", namespace="exchange", code="ibmproductView", attributes=attributes, open=open_)
    whose = {"workspace": "shop", "client": "pub-1", "publisher": "pub-1"}
    sent = EventDraft(namespace="exchange", code="ibmproductView", **whose, **draft)
    value, _ = EventWriter(event_type, None).write(sent, event_id="e-1", received_at=0)
    return EventDecoder(text).decode(value)


def test_the_members_come_in_the_documents_order() -> None:
    event = decoded(
        text_values={"productID": "P-1", "orderTotal": "125.50"},
        time=timestamps.parse("2015-02-28T20:16:12Z"),
        channel="mobile",
        identifiers=(EMAIL, Identifier("email", "other@example.org")),
    )

    body = json.loads(exchange.render(OutgoingEvent(event, {}, "exchange", PUBLISHER)))

    assert list(body) == ["provider", "source", "channel", "x1Id", "identifiers", "events"]
    assert (body["provider"], body["source"], body["channel"]) == ("Acme", "Web shop", "mobile")
    assert body["identifiers"] == [
        {"name": "email", "value": "someone@example.org"},
        {"name": "email", "value": "other@example.org"},
    ]
    assert body["events"] == [
        {
            "code": "ibmproductView",
            "timestamp": "2015-02-28T20:16:12Z",
            "attributes": [
                {"name": "productID", "value": "P-1", "type": "String"},
                {"name": "orderTotal", "value": "125.50", "type": "Number"},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("orderTotal", "125.50"),
        ("orderTotal", "+1e3"),
        ("orderTotal", "7"),
        ("gift", "TRUE"),
        ("gift", "false"),
        ("at", "2015-02-28T21:16:12.1234567+01:00"),
        ("productID", ""),
        ("note", '{"a": 1.0}'),
    ],
)
def test_a_value_is_the_text_that_was_sent(name: str, text: str) -> None:
    event = decoded(text_values={name: text})

    (attribute,) = exchange.attributes(event)

    assert (attribute.name, attribute.value) == (name, text)
    assert attribute.type == {"json": "String"}.get(TYPES[name], TYPES[name])


def test_a_timestamp_is_as_sent() -> None:
    sent = "2015-02-28T21:16:12+01:00"
    event = decoded(text_values={}, time=timestamps.parse(sent), time_text=sent)

    assert exchange.push(event, PUBLISHER).events[0].timestamp == sent


def test_an_open_types_members_become_attributes() -> None:
    event = decoded(open_=True, data=b'{"a":"x","n":1.50,"b":true,"o":{"p":1},"z":null}')

    found = [(one.name, one.value, one.type) for one in exchange.attributes(event)]

    assert found == [
        ("a", "x", "String"),
        ("n", "1.50", "Number"),
        ("b", "true", "Boolean"),
        ("o", '{"p":1}', "String"),
        ("z", "null", "String"),
    ]


def test_data_that_is_no_object_is_one_attribute() -> None:
    (attribute,) = exchange.attributes(decoded(open_=True, data=b"[1,2]"))

    assert attribute == exchange.Attribute("data", "[1,2]", "String")


def test_the_same_first_identifier_gives_the_same_x1_id() -> None:
    one = exchange.push(decoded(text_values={}, identifiers=(EMAIL,)), PUBLISHER)
    two = exchange.push(decoded(text_values={}, identifiers=(EMAIL, Identifier("cookieId", "c"))), PUBLISHER)
    elsewhere = msgspec.structs.replace(PUBLISHER, workspace="other")

    assert one.x1_id == two.x1_id
    assert exchange.push(decoded(text_values={}, identifiers=(EMAIL,)), elsewhere).x1_id != one.x1_id
    assert exchange.push(decoded(text_values={}), PUBLISHER).x1_id is None


def test_without_its_publisher_the_source_is_its_id() -> None:
    pushed = exchange.push(decoded(text_values={}), None)

    assert (pushed.provider, pushed.source) == ("pub-1", "pub-1")
