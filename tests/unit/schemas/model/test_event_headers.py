"""Kafka's headers are the CloudEvent's attributes as sent, and the gateway's id beside them."""

from __future__ import annotations

from schemas.model.event_headers import EventHeaders
from tests.unit.schemas.avro.event_types import EVENT_ID, RECEIVED_AT, draft

PLAIN = {
    "ce_specversion": b"1.0",
    "ce_id": EVENT_ID.encode(),
    "ce_source": b"client-1",
    "ce_type": b"Order",
    "ce_time": b"2026-11-21T03:33:20.123456Z",
    "ce_clientid": b"client-1",
    "hr_event": EVENT_ID.encode(),
    "content-type": b"application/avro",
}


def test_an_event_without_attributes_of_its_own_has_those_of_the_gateway() -> None:
    assert dict(EventHeaders("client-1", "Order")(draft(), EVENT_ID, RECEIVED_AT)) == PLAIN


def test_attributes_are_as_sent() -> None:
    own = draft(
        producer_id="8",
        source="/o",
        type="shop/Order",
        subject="é",
        time=1_614_872_214_500_000,
        time_text="2021-03-04t16:36:54.50+01:00",
        dataschema="https://x/y",
        datacontenttype="application/json; v=1",
        extensions={"region": "eu", "n": 5, "yes": True},
    )
    assert dict(EventHeaders("client-1", "Order")(own, EVENT_ID, RECEIVED_AT)) == PLAIN | {
        "ce_id": b"8",
        "ce_source": b"/o",
        "ce_type": b"shop/Order",
        "ce_subject": "é".encode(),
        "ce_time": b"2021-03-04t16:36:54.50+01:00",
        "ce_dataschema": b"https://x/y",
        "ce_datacontenttype": b"application/json; v=1",
        "ce_region": b"eu",
        "ce_n": b"5",
        "ce_yes": b"true",
    }
