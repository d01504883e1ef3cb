"""An owner's pause in the router: matches without deliveries, and receipts that a backfill finds again."""

from __future__ import annotations

import msgspec

from schemas.model.delivery import ReceiptKind, RoutingReceipt
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.run import OffsetRange
from stream_processors.routing.deliveries import Tally, split_held
from stream_processors.routing.matching import Match
from stream_processors.runs.held_ranges import merged

PARTITION = ("events.w.n.c", 0)


def match(name: str, held_since: int | None = None, order: int | None = None) -> Match:
    endpoint = Endpoint(
        id=name,
        workspace="w",
        name=name,
        type=EndpointType.WEB_HOOK,
        held_since=held_since,
        created_at=0,
        updated_at=0,
    )
    return Match(endpoint, ("s",), order)


def test_a_paused_endpoint_gets_no_delivery_and_an_ordered_one_does() -> None:
    live, paused, ordered = match("live"), match("paused", 7), match("ordered", 7, order=1)

    assert split_held([live, paused, ordered]) == ([live, ordered], [paused])
    assert split_held([live]) == ([live], ())


def test_the_receipt_names_the_pause_and_counts_what_it_keeps_among_the_matches() -> None:
    tally = Tally({})
    for offset in range(3):
        tally.add(PARTITION, offset)
        tally.matched(PARTITION, "live")
        tally.hold(PARTITION, [match("paused", 7)])

    (record,) = tally.receipts(0)

    receipt = msgspec.json.decode(record.value or b"", type=RoutingReceipt)
    assert (receipt.kind, receipt.first_offset, receipt.next_offset) == (ReceiptKind.ROUTED, 0, 3)
    assert receipt.matched == {"live": {"1970-01-01T00": 3}, "paused": {"1970-01-01T00": 3}}
    assert receipt.held == {"paused": (7, 3)}


def test_an_event_with_a_separate_receipt_shares_it_with_none_behind_it() -> None:
    tally = Tally({})
    for offset in range(3):
        tally.add(PARTITION, offset)
        if offset == 1:
            tally.separate(PARTITION)
            tally.hold(PARTITION, [match("paused", 7)])

    receipts = [msgspec.json.decode(each.value or b"", type=RoutingReceipt) for each in tally.receipts(0)]

    found = [(each.first_offset, each.next_offset, list(each.held)) for each in receipts]
    assert found == [(0, 1, []), (1, 2, ["paused"]), (2, 3, [])]


def test_the_receipt_with_the_offsets_names_every_pause_however_many_endpoints_there_are() -> None:
    tally = Tally({})
    tally.add(PARTITION, 0)
    for number in range(5_001):
        tally.matched(PARTITION, f"live-{number}")
    tally.hold(PARTITION, [match("paused", 7)])

    first, second = (msgspec.json.decode(each.value or b"", type=RoutingReceipt) for each in tally.receipts(0))

    assert (first.next_offset - first.first_offset, second.next_offset - second.first_offset) == (1, 0)
    assert (list(first.held), second.held) == (["paused"], {})
    assert "paused" in first.matched


def test_ranges_that_meet_are_one() -> None:
    ranges = [
        OffsetRange("b", 0, 0, 1),
        OffsetRange("a", 0, 5, 9),
        OffsetRange("a", 0, 2, 5),
        OffsetRange("a", 1, 9, 10),
    ]

    assert merged(ranges) == (OffsetRange("a", 0, 2, 9), OffsetRange("a", 1, 9, 10), OffsetRange("b", 0, 0, 1))
