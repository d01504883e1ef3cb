"""The body that tells an Exchange endpoint of a changed subscription."""

from __future__ import annotations

import pytest

from connectors.shared.body import OutgoingEvent
from families.exchange.catalog.consequences import ATTRIBUTES
from families.exchange.delivery import notification_body as exchange_notification
from schemas.avro.codec import EventDecoder
from schemas.avro.schema import schema_text
from schemas.avro.validation import EventWriter
from schemas.model.event import EventDraft
from schemas.model.event_type import EventType


def body(data: bytes, *, opened: bool = False) -> bytes:
    attributes = () if opened else ATTRIBUTES
    text = schema_text(workspace="w", namespace="n", code="c", attributes=attributes, open=opened)
    kind = EventType(
        workspace="w",
        namespace="n",
        code="c",
        attributes=attributes,
        open=opened,
        effective_partitions=1,
        schema_id=1,
        created_at=0,
        updated_at=0,
    )
    draft = EventDraft(workspace="w", namespace="n", code="c", client="pub", publisher="pub", data=data)
    value, _ = EventWriter(kind, None).write(draft, event_id="e", received_at=0)
    return exchange_notification.render(OutgoingEvent(EventDecoder(text).decode(value), {}, "n"))


def test_members_in_the_order_of_the_document() -> None:
    data = (
        b'{"eventName":"View","eventTypeCode":"a","changeType":"Add","changeTime":"2026-11-21T07:00:00.000001Z",'
        b'"notificationKey":"7"}'
    )
    assert body(data) == (
        b'{"notificationKey":"7","changeTime":"2026-11-21T07:00:00.000001Z","changeType":"Add",'
        b'"eventTypeCode":"a","eventName":"View"}'
    )


def test_without_a_key() -> None:
    assert body(b'{"changeType":"Add"}') == b'{"changeType":"Add"}'


@pytest.mark.parametrize("data", [b'{"productID":"P-1"}', b"[1]", b'"text"', b"null"])
def test_an_event_that_tells_of_no_subscription(data: bytes) -> None:
    assert body(data, opened=True) == b"{}"
