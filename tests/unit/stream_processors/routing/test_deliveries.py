from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from schemas.avro.codec import EventDecoder
from schemas.avro.validation import EventWriter
from schemas.model import topics
from schemas.model.delivery import (
    Delivery,
    GroupedDelivery,
    ReceiptKind,
    RoutingReceipt,
    SourceOffset,
    event_headers,
    read_delivery,
)
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import CorruptRecord
from schemas.model.ids import delivery_id
from stream_processors.routing.deliveries import Tally, delivery_record, delivery_records, event_id, wanted
from stream_processors.routing.matching import Match
from stream_processors.routing.record_view import RecordView
from tests.support.consumed_messages import FakeMessage, framed
from tests.unit.schemas.avro.event_types import EVENT_ID, RECEIVED_AT, draft, event_type, older_schema_of

if TYPE_CHECKING:
    from backbone.kafka.records import Record
    from schemas.avro.codec import DecodedEvent

P0 = ("events.w.n.c", 0)
P1 = ("events.w.n.c", 1)
NOON = 1_795_262_400_000_000
"""2026-11-21T12:00:00Z in microseconds."""


def endpoint(kind: EndpointType = EndpointType.WEB_HOOK) -> Endpoint:
    return Endpoint(id="e1", workspace="w", name="e", type=kind, url="https://x", created_at=0, updated_at=0)


class Undecodable:
    def decode(self, value: bytes) -> DecodedEvent:
        raise AssertionError(f"nothing of this needs {value!r} decoded")

    def data_value(self, value: bytes, attributes: frozenset[str]) -> Any:
        raise AssertionError(f"nothing of this needs {attributes} of {value!r}")


UNDECODABLE = Undecodable()


def read(records: list[Record]) -> list[RoutingReceipt]:
    assert {record.topic for record in records} <= {topics.ROUTING_RECEIPTS}
    return [msgspec.json.decode(record.value or b"", type=RoutingReceipt) for record in records]


def test_a_delivery_is_the_event_unchanged_with_its_own_headers_beside() -> None:
    event = FakeMessage(7, headers=[("ce_id", b"p-1"), ("hr_request", b"{}")])

    (record,) = delivery_records(
        event, "event-7", [Match(endpoint(), ("s1", "s2"))], routed_at=NOON, decoding=UNDECODABLE
    )

    delivery = Delivery.from_headers(record.headers)
    assert (record.topic, record.key, record.value) == (topics.WEBHOOK_DELIVERIES, b"e1", framed("event-7"))
    assert delivery == Delivery(
        id=delivery_id("event-7", "e1"),
        event="event-7",
        endpoint="e1",
        workspace="w",
        source=SourceOffset("events.w.n.c", 0, 7),
        subscriptions=("s1", "s2"),
        routed_at=NOON,
    )
    assert event_headers(record.headers) == event.headers()


def test_headers_of_the_event_cannot_pass_for_those_of_its_delivery() -> None:
    forged = [
        ("hr_groups", b'[[0,"s","of-another"]]'),
        ("hr_run", b"r"),
        ("hr_endpoint", b"of-another"),
        ("due", b"soon"),
    ]
    event = FakeMessage(7, headers=[("ce_id", b"p-1"), *forged, ("hr_request", b"{}"), ("note", None)])  # type: ignore[list-item]  # as another producer may write it
    alone, contract = Match(endpoint(), ("s1",)), Match(endpoint(), ("s2",), 1)

    plain, grouped = delivery_records(event, "event-7", [alone, contract], routed_at=NOON, decoding=UNDECODABLE)

    assert event_headers(plain.headers) == [("ce_id", b"p-1"), ("hr_request", b"{}"), ("note", None)]
    found, contracts = read_delivery(plain.headers or []), read_delivery(grouped.headers or [])
    assert isinstance(found, Delivery)
    assert (found.endpoint, found.run, found.due) == ("e1", "live", None)
    assert isinstance(contracts, GroupedDelivery)
    assert [each.endpoint for each in contracts.contracts] == ["e1"]


@pytest.mark.parametrize(
    ("kind", "topic", "key"),
    [
        (EndpointType.WEB_HOOK, "deliveries.webhook", b"e1"),
        (EndpointType.FILE, "deliveries.file", b"e1"),
        (EndpointType.WEB_SOCKET, "deliveries.websocket", b"endpoint:e1"),
    ],
)
def test_each_kind_of_endpoint_has_its_topic_and_key(kind: EndpointType, topic: str, key: bytes) -> None:
    record = delivery_record(
        FakeMessage(0),
        [],
        "x",
        Match(endpoint(kind), ("s",)),
        routed_at=NOON,
        view=RecordView(FakeMessage(0), b"", UNDECODABLE),
    )

    assert (record.topic, record.key) == (topic, key)


def test_a_channel_template_is_filled_in_from_the_headers() -> None:
    message = FakeMessage(0, headers=[("ce_specversion", b"1.0"), ("ce_type", b"Order"), ("ce_subject", b"A-1")])
    templated = msgspec.structs.replace(endpoint(EndpointType.WEB_SOCKET), options={"channel": "{type}:{subject}"})

    record = delivery_record(
        message, [], "x", Match(templated, ("s",)), routed_at=NOON, view=RecordView(message, b"", UNDECODABLE)
    )

    assert record.key == b"w/Order:A-1"


def test_the_event_id_is_read_from_the_headers() -> None:
    assert event_id(FakeMessage(0, headers=[("ce_id", b"theirs"), ("hr_event", b"01a2")]), UNDECODABLE) == "01a2"


@pytest.mark.parametrize("headers", [[], [("ce_id", b"theirs")], [("hr_event", b"")]])
def test_the_event_id_of_an_older_record_is_in_its_value(headers: list[tuple[str, bytes]]) -> None:
    of = event_type()
    older = EventWriter(of, None, identity=False)
    value, _ = older.write(draft({}, producer_id="theirs"), event_id=EVENT_ID, received_at=RECEIVED_AT)
    decoder = EventDecoder(older_schema_of(of))
    decoding: Any = SimpleNamespace(decode=decoder.decode)

    assert event_id(FakeMessage(0, value=value, headers=headers), decoding) == EVENT_ID
    for broken in (b"", b"{}", value[:-1]):
        with pytest.raises(CorruptRecord):
            event_id(FakeMessage(0, value=broken, headers=headers), decoding)


def test_receipts_tile_the_offsets_and_count_the_deliveries() -> None:
    tally = Tally({P0: 10, P1: 0})
    for offset in (10, 11, 12):
        assert tally.add(P0, offset)
    tally.matched(P0, "e1")
    assert tally.add(P1, 0)
    tally.matched(P1, "e1")
    tally.matched(P1, "e2")

    first, second = read(tally.receipts(NOON))

    assert first == RoutingReceipt(
        kind=ReceiptKind.ROUTED,
        topic="events.w.n.c",
        partition=0,
        first_offset=10,
        next_offset=13,
        events=3,
        matched={"e1": {"2026-11-21T12": 1}},
        routed_at=NOON,
    )
    assert (second.partition, second.matched) == (1, {"e1": {"2026-11-21T12": 1}, "e2": {"2026-11-21T12": 1}})
    assert tally.offsets() == {P0: 13, P1: 1}
    assert tally.events == 4


def test_what_goes_to_very_many_endpoints_has_receipts_that_kafka_takes() -> None:
    tally = Tally({P0: 0})
    for offset in range(2):
        assert tally.add(P0, offset)
    endpoints = {str(uuid.uuid4()) for _ in range(20_000)}
    for each in endpoints:
        tally.matched(P0, each)

    records = tally.receipts(NOON)

    assert max(len(record.value or b"") for record in records) < 1_000_000
    receipts = read(records)
    assert [(each.first_offset, each.next_offset) for each in receipts] == [(0, 2)] + [(2, 2)] * (len(receipts) - 1)
    assert sum(each.events for each in receipts) == 2
    matched = [endpoint for each in receipts for endpoint in each.matched]
    assert len(matched) == len(endpoints)
    assert set(matched) == endpoints


def test_a_gap_is_a_receipt_of_its_own() -> None:
    tally = Tally({P0: 5})
    for offset in (8, 9, 20):
        tally.add(P0, offset)

    ranges = [
        (each.kind.value, each.first_offset, each.next_offset, each.events) for each in read(tally.receipts(NOON))
    ]

    assert ranges == [("skipped", 5, 8, 0), ("routed", 8, 10, 2), ("skipped", 10, 20, 0), ("routed", 20, 21, 1)]
    assert tally.skipped == 13


def test_what_was_committed_is_not_routed_again() -> None:
    expected = {P0: 0}
    first = Tally(expected)
    first.add(P0, 0)
    first.settle()
    second = Tally(expected)

    assert [second.add(P0, 0), second.add(P0, 1)] == [False, True]
    assert [(each.first_offset, each.next_offset) for each in read(second.receipts(NOON))] == [(1, 2)]


def test_a_tally_that_is_not_settled_leaves_its_offsets_to_the_next() -> None:
    expected = {P0: 0}
    Tally(expected).add(P0, 0)

    assert Tally(expected).add(P0, 0)


def test_contracts_share_a_record_that_carries_a_delivery_for_each() -> None:
    event = FakeMessage(7, headers=[("hr_request", b'{"method":"POST"}')])
    matches = [
        Match(endpoint(), ("late",), 2),
        Match(endpoint(), ("plain",)),
        Match(endpoint(), ("early-b",), 1),
        Match(endpoint(), ("early-a",), 1),
    ]

    plain, grouped = delivery_records(event, "event-7", matches, routed_at=NOON, decoding=UNDECODABLE)

    assert Delivery.from_headers(plain.headers).subscriptions == ("plain",)
    assert (grouped.topic, grouped.key, grouped.value) == (topics.WEBHOOK_DELIVERIES, b"event-7", framed("event-7"))
    assert event_headers(grouped.headers) == event.headers()
    found = read_delivery(grouped.headers or [])
    assert isinstance(found, GroupedDelivery)
    assert [[each.subscription for each in group] for group in found.groups()] == [["early-a", "early-b"], ["late"]]
    assert [each.subscriptions for each in found.deliveries()] == [("early-a",), ("early-b",), ("late",)]
    assert len({each.id for each in found.deliveries()}) == 3
    assert {each.source for each in found.deliveries()} == {SourceOffset("events.w.n.c", 0, 7)}


@pytest.mark.parametrize("contracts", [b"[]", b"{}", b"[[1]]"])
def test_contracts_that_cannot_be_read_are_a_corrupt_record(contracts: bytes) -> None:
    headers = dict(_grouped_headers()) | {"hr_groups": contracts}

    with pytest.raises(CorruptRecord):
        read_delivery(list(headers.items()))


def _grouped_headers() -> list[tuple[str, bytes]]:
    matches = [Match(endpoint(), ("s",), 1)]
    (record,) = delivery_records(FakeMessage(7), "event-7", matches, routed_at=NOON, decoding=UNDECODABLE)
    return record.headers or []


def test_an_event_that_a_person_sent_again_is_for_its_contract_only() -> None:
    matches = [Match(endpoint(), ("plain",)), Match(endpoint(), ("first",), 1), Match(endpoint(), ("second",), 2)]
    again = FakeMessage(7, headers=[("hr_request", b'{"contract":"second"}')])

    assert wanted(again, matches) == [matches[2]]
    assert wanted(again, matches[:1]) == matches[:1]
    assert wanted(FakeMessage(7, headers=[("hr_request", b"{}")]), matches) == matches
    assert wanted(FakeMessage(7, headers=[("hr_request", b"?")]), matches) == matches
