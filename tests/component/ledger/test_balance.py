"""The balance on real databases: what the router matched, what became of it, and whether offsets tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.ledger.balance import Balance, BalanceQuery, BalanceRow
from backbone.ledger.balance_tables import HOUR
from backbone.ledger.rows import DeadDelivery, LedgerRows, Match, ReceiptRow
from schemas.model.delivery import Attempt, Delivery, Outcome, ReceiptKind, RoutingReceipt, SourceOffset
from schemas.model.ids import attempt_id, delivery_id
from schemas.model.topics import ROUTING_RECEIPTS, event_topic
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from backbone.ledger.writer import LedgerWriter

ACME = ReadScope(workspace="acme")
TOPIC = event_topic("acme", "events", "Order")
AT = 480_000
"""An hour, since the epoch."""
T0 = AT * HOUR
QUERY = BalanceQuery(since=T0, until=T0 + HOUR, limit=100)


def receipt(place: int, first: int, end: int, *matches: Match, **changes: Any) -> ReceiptRow:
    """The receipt at an offset of ``routing-receipts``, of the source offsets from ``first`` to ``end``."""
    kind = changes.pop("kind", ReceiptKind.ROUTED)
    about = RoutingReceipt(
        kind=kind, topic=TOPIC, partition=1, first_offset=first, next_offset=end, events=end - first, routed_at=T0
    )
    row = ReceiptRow(
        partition=3, offset=place, receipt=about, matches=matches, workspace="acme", created_at=5, kept=True
    )
    return msgspec.structs.replace(row, **changes)


def of(*receipts: ReceiptRow, **rows: Any) -> LedgerRows:
    read = {(ROUTING_RECEIPTS, 3): receipts[-1].offset + 1} if receipts else {}
    return LedgerRows(receipts=list(receipts), read=read, **rows)


def delivery(offset: int, endpoint: str = "hook", **changes: Any) -> Delivery:
    event = f"event-{offset}"
    made = Delivery(
        id=delivery_id(event, endpoint),
        event=event,
        endpoint=endpoint,
        workspace="acme",
        source=SourceOffset(TOPIC, 1, offset),
        subscriptions=("s",),
        routed_at=T0 + 7,
    )
    return msgspec.structs.replace(made, **changes)


def attempt(of_delivery: Delivery, outcome: Outcome) -> Attempt:
    return Attempt(
        id=attempt_id(of_delivery.id, of_delivery.run, 1),
        delivery=of_delivery.id,
        event=of_delivery.event,
        endpoint=of_delivery.endpoint,
        workspace="acme",
        source=of_delivery.source,
        run=of_delivery.run,
        number=1,
        outcome=outcome,
        started_at=T0 + 9,
        duration=0.1,
    )


def only(engine: Engine, scope: ReadScope = ACME, query: BalanceQuery = QUERY) -> BalanceRow:
    (row,) = Balance(engine).rows(scope, query)
    return row


def test_what_was_matched_is_what_became_of_it(engine: Engine, writer: LedgerWriter) -> None:
    each = [delivery(number) for number in range(7)]
    outcomes = (Outcome.DELIVERED, Outcome.DEAD, Outcome.RETRYING, Outcome.CANCELLED, Outcome.ABORTED)
    writer.write(
        of(
            receipt(0, 0, 7, Match("hook", AT, 7)),
            deliveries=each,
            attempts=[attempt(made, outcome) for made, outcome in zip(each, outcomes, strict=False)],
            dead=[DeadDelivery(each[5], "no condition")],
        )
    )
    found = only(engine)
    assert (found.endpoint, found.hour, found.matched, found.difference) == ("hook", T0, 7, 0)
    counts = (found.delivered, found.dead, found.retrying, found.cancelled, found.in_flight)
    assert counts == (1, 3, 1, 1, 1)


def test_a_batch_that_comes_again_adds_nothing(engine: Engine, writer: LedgerWriter) -> None:
    first = receipt(0, 0, 2, Match("hook", AT, 2))
    batch = of(first, receipt(1, 2, 3, Match("hook", AT, 1), Match("other", AT + 1, 1)))
    for _ in range(2):
        writer.write(batch)
        writer.write(of(first))
    assert only(engine).matched == 3
    (routed,) = Balance(engine).routed("acme", limit=10)
    assert (routed.first_offset, routed.next_offset, routed.events, routed.faults) == (0, 3, 3, ())


def test_replays_do_not_count(engine: Engine, writer: LedgerWriter) -> None:
    again = delivery(0, run="replay-1")
    writer.write(of(receipt(0, 0, 1, Match("hook", AT, 1)), deliveries=[delivery(0), again]))
    assert (only(engine).in_flight, only(engine).difference) == (1, 0)


def test_deliveries_of_a_type_that_the_ledger_does_not_keep_are_counted_as_such(
    engine: Engine, writer: LedgerWriter
) -> None:
    writer.write(of(receipt(0, 0, 1, Match("hook", AT, 1), kept=False)))
    assert (only(engine).matched, only(engine).not_kept, only(engine).difference) == (1, 1, 0)


def test_a_lost_delivery_is_a_difference_with_its_place(engine: Engine, writer: LedgerWriter) -> None:
    receipts = [receipt(0, 4, 6, Match("hook", AT, 2)), receipt(1, 6, 7, Match("well", AT, 1))]
    writer.write(of(*receipts, deliveries=[delivery(4), delivery(6, "well")]))
    found = only(engine, query=msgspec.structs.replace(QUERY, unbalanced=True))
    assert (found.endpoint, found.matched, found.in_flight, found.difference) == ("hook", 2, 1, 1)
    (place,) = found.places
    assert (place.topic, place.partition, place.first_offset, place.next_offset) == (TOPIC, 1, 4, 6)
    assert (place.matched, place.found) == (2, 1)


def test_a_delivery_that_nothing_matched_is_a_difference_too(engine: Engine, writer: LedgerWriter) -> None:
    writer.write(LedgerRows(deliveries=[delivery(4)]))
    found = only(engine, query=msgspec.structs.replace(QUERY, unbalanced=True))
    assert found.difference == -1
    assert [(place.partition, place.first_offset, place.found) for place in found.places] == [(1, None, 1)]


@pytest.mark.parametrize(
    ("first", "end", "fault"), [(5, 6, ("gap", 3, 5)), (2, 6, ("overlap", 2, 3)), (1, 2, ("overlap", 1, 2))]
)
def test_receipts_that_do_not_tile_are_a_fault(
    engine: Engine, writer: LedgerWriter, first: int, end: int, fault: tuple[str, int, int]
) -> None:
    writer.write(of(receipt(0, 0, 3)))
    writer.write(of(receipt(1, first, end)))
    (routed,) = Balance(engine).routed("acme", limit=10)
    assert [(each.kind, each.first_offset, each.next_offset) for each in routed.faults] == [fault]
    assert (routed.next_offset, Balance(engine).fault_count()) == (max(3, end), 1)


def test_skipped_offsets_are_no_gap(engine: Engine, writer: LedgerWriter) -> None:
    writer.write(of(receipt(0, 0, 3), receipt(1, 3, 9, kind=ReceiptKind.SKIPPED), receipt(2, 9, 9), receipt(3, 9, 10)))
    (routed,) = Balance(engine).routed("acme", limit=10)
    assert (routed.next_offset, routed.skipped, routed.faults) == (10, 6, ())


def test_a_type_that_is_made_anew_begins_anew(engine: Engine, writer: LedgerWriter) -> None:
    writer.write(of(receipt(0, 0, 3), receipt(1, 0, 2, created_at=6)))
    (routed,) = Balance(engine).routed("acme", limit=10)
    assert (routed.next_offset, routed.events, routed.faults) == (2, 2, ())


def test_pages_neither_skip_nor_repeat(engine: Engine, writer: LedgerWriter) -> None:
    places = [(hour, f"hook-{number}") for hour in (AT + 1, AT) for number in range(3)]
    matches = [Match(endpoint, hour, 1) for hour, endpoint in places]
    writer.write(of(receipt(0, 0, 6, *matches)))
    seen: list[tuple[int, str]] = []
    query = msgspec.structs.replace(QUERY, until=T0 + 2 * HOUR, limit=2)
    while page := Balance(engine).rows(ACME, query):
        seen += [(row.hour // HOUR, row.endpoint) for row in page]
        query = msgspec.structs.replace(query, after=(page[-1].hour, page[-1].endpoint))
    assert seen == places


def test_a_client_sees_its_own_endpoints_and_nobody_another_workspace(engine: Engine, writer: LedgerWriter) -> None:
    writer.write(of(receipt(0, 0, 2, Match("hook", AT, 1), Match("theirs", AT, 1))))
    own = ReadScope(workspace="acme", client="c1", endpoints=frozenset({"hook"}))
    assert only(engine, own).endpoint == "hook"
    balance = Balance(engine)
    assert balance.rows(ReadScope(workspace="acme", client="c2", endpoints=frozenset()), QUERY) == []
    assert balance.rows(ReadScope(workspace="globex"), QUERY) == []
    assert balance.routed("globex", limit=10) == []


def test_what_is_past_its_retention_goes(engine: Engine, writer: LedgerWriter) -> None:
    writer.write(of(receipt(0, 0, 3, Match("hook", AT, 1)), receipt(1, 5, 6)))
    writer.expire(T0 + HOUR)
    balance = Balance(engine)
    assert (balance.rows(ACME, QUERY), balance.routed("acme", limit=10), balance.fault_count()) == ([], [], 0)
    writer.write(of(receipt(1, 5, 6, Match("hook", AT, 1))))
    assert balance.rows(ACME, QUERY) == [], "what was read is not read again"


def test_the_ledger_is_complete_until_the_latest_time_that_was_noted(engine: Engine, writer: LedgerWriter) -> None:
    balance = Balance(engine)
    assert balance.complete_until() is None
    for until in (7, 9, 8):
        writer.complete(until)
    assert balance.complete_until() == 9


def test_deliveries_that_wait_and_attempts_are_found_by_time(engine: Engine, writer: LedgerWriter) -> None:
    tried = delivery(1)
    writer.write(LedgerRows(deliveries=[delivery(0), tried], attempts=[attempt(tried, Outcome.RETRYING)]))
    balance = Balance(engine)
    assert balance.waiting("acme", since=T0, until=T0 + 8) == 1
    assert (balance.tried(since=T0 + 9), balance.tried(since=T0 + 10)) == (True, False)
