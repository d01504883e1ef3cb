"""The delivery log: each filter, pages under writes, who sees what, and that an index leads to every list."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs
from sqlalchemy import text
from sqlalchemy.event import listen

from backbone.ledger import delivery_log
from backbone.ledger.delivery_log import OTHER_RUNS, DeliveryLog, DeliveryQuery
from backbone.ledger.rows import DeadDelivery, EventRow, IdentifierRow, LedgerRows
from schemas.model.delivery import Attempt, Delivery, Outcome, SourceOffset
from schemas.model.errors import InvalidRequest
from schemas.model.ids import attempt_id, delivery_id
from schemas.model.standing import Reason, Standing
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

    from backbone.ledger.writer import LedgerWriter

T0 = 1_700_000_000_000_000
ORDERS, REFUNDS = "events.acme.shop.Order", "events.acme.shop.Refund"

WHOLE = ReadScope(workspace="acme")
OWNER = ReadScope(workspace="acme", client="crm", endpoints=frozenset({"hook", "idle"}))
STRANGER = ReadScope(workspace="acme", client="other", endpoints=frozenset({"nothing"}))
PRODUCER = ReadScope(workspace="acme", client="shop")
FOREIGN = ReadScope(workspace="umbrella")


def routed(event: str, endpoint: str, at: int = 0, topic: str = ORDERS, run: str = "live") -> Delivery:
    return Delivery(
        id=delivery_id(event, endpoint),
        event=event,
        endpoint=endpoint,
        workspace="acme",
        source=SourceOffset(topic, 0, 7),
        subscriptions=("s",),
        routed_at=T0 + at,
        run=run,
    )


def tried(of: Delivery, outcome: Outcome, number: int = 1, **members: Any) -> Attempt:
    made = Attempt(
        id=attempt_id(of.id, of.run, number),
        delivery=of.id,
        event=of.event,
        endpoint=of.endpoint,
        workspace=of.workspace,
        source=of.source,
        run=of.run,
        number=number,
        outcome=outcome,
        started_at=of.routed_at + number,
        duration=0.1,
        routed_at=of.routed_at,
    )
    return structs.replace(made, **members)


def event(event_id: str, **members: Any) -> EventRow:
    row = EventRow(
        workspace="acme",
        id=event_id,
        topic=ORDERS,
        source_offset=f"{ORDERS}/0/7",
        namespace="shop",
        code="Order",
        source="shop",
        subject=None,
        time=T0,
        received_at=T0,
        channel=None,
        identifiers="[]",
        data="1",
        producer_id=None,
    )
    return structs.replace(row, **members)


def named(event_id: str, name: str, value: str) -> IdentifierRow:
    return IdentifierRow(workspace="acme", event=event_id, name=name, value=value, received_at=T0)


@pytest.fixture
def log(engine: Engine, writer: LedgerWriter) -> DeliveryLog:
    """One delivery of each kind; events are called by what became of their delivery."""
    fine = routed("fine", "hook", 1)
    waits = routed("waits", "hook", 2)
    again = routed("again", "hook", 3)
    lost = routed("lost", "far", 4)
    dropped = routed("dropped", "idle", 5)
    refund = routed("refund", "hook", 6, topic=REFUNDS)
    replayed = structs.replace(fine, run="r1", routed_at=T0 + 7)
    broken = routed("broken", "far", 8)
    rows = LedgerRows(
        events=[event(name, producer_id="P-1" if name == "lost" else None) for name in ("fine", "lost", "dropped")],
        deliveries=[fine, waits, again, lost, dropped, refund, replayed],
        attempts=[
            tried(fine, Outcome.DELIVERED, status=204),
            tried(again, Outcome.RETRYING, status=503, next_at=T0 + 60),
            tried(lost, Outcome.DEAD, status=404),
            tried(dropped, Outcome.CANCELLED, reason=Reason.DELETED.value),
            tried(refund, Outcome.DELIVERED, status=200),
            tried(replayed, Outcome.RETRYING, reason=Reason.TIMEOUT.value),
        ],
        dead=[DeadDelivery(lost, "the last attempt failed"), DeadDelivery(broken, "cannot be rendered", poison=True)],
        identifiers=[
            named("fine", "order", "A-100"),
            named("lost", "order", "A-101"),
            named("again", "order", "A-1"),
            named("waits", "customer", "A-1009"),
            named("dropped", "order", "a-100"),
        ],
    )
    writer.write(rows)
    return DeliveryLog(engine)


def events(log: DeliveryLog, scope: ReadScope, **conditions: Any) -> list[str]:
    page = log.page(scope, DeliveryQuery(**conditions), oldest_first=True)
    assert page.cursor is None
    return [f"{each.delivery.event}{'' if each.delivery.run == 'live' else '+'}" for each in page.deliveries]


EVERY = ["fine", "waits", "again", "lost", "dropped", "refund", "fine+", "broken"]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, EVERY),
        ({"standings": (Standing.PENDING,)}, ["waits"]),
        ({"standings": (Standing.DELIVERED,)}, ["fine", "refund"]),
        ({"standings": (Standing.DEAD,)}, ["lost", "broken"]),
        ({"standings": (Standing.RETRYING, Standing.CANCELLED)}, ["again", "dropped", "fine+"]),
        ({"standings": (Standing.DELIVERED, Standing.DEAD)}, ["fine", "lost", "refund", "broken"]),
        ({"topics": (REFUNDS,)}, ["refund"]),
        ({"topics": (REFUNDS, ORDERS)}, EVERY),
        ({"topics": ()}, []),
        ({"topics": (ORDERS,), "standings": (Standing.DEAD,)}, ["lost", "broken"]),
        ({"topics": (REFUNDS,), "standings": (Standing.DEAD,)}, []),
        ({"endpoint": "far"}, ["lost", "broken"]),
        ({"endpoint": "hook", "standings": (Standing.RETRYING,)}, ["again", "fine+"]),
        ({"endpoint": "hook", "topics": (REFUNDS,)}, ["refund"]),
        ({"since": T0 + 3, "until": T0 + 5}, ["again", "lost"]),
        ({"statuses": (500, 599)}, ["again"]),
        ({"statuses": (404, 404)}, ["lost"]),
        ({"statuses": (200, 299)}, ["fine", "refund"]),
        ({"reasons": (Reason.CLIENT_ERROR,)}, ["lost"]),
        ({"reasons": (Reason.SERVER_ERROR, Reason.TIMEOUT)}, ["again", "fine+"]),
        ({"reasons": (Reason.DELETED,), "standings": (Standing.CANCELLED,)}, ["dropped"]),
        ({"reasons": (Reason.UNREADABLE,)}, ["broken"]),
        ({"run": "live"}, [each for each in EVERY if each != "fine+"]),
        ({"run": OTHER_RUNS}, ["fine+"]),
        ({"run": "r1"}, ["fine+"]),
        ({"run": "r2"}, []),
        ({"any_id": delivery_id("fine", "hook")}, ["fine", "fine+"]),
        ({"any_id": delivery_id("fine", "hook"), "run": "live"}, ["fine"]),
        ({"any_id": "lost"}, ["lost"]),
        ({"any_id": "P-1"}, ["lost"]),
        ({"any_id": "P-1", "source": "shop"}, ["lost"]),
        ({"any_id": "P-1", "source": "elsewhere"}, []),
        ({"any_id": "nothing"}, []),
        ({"identifier": "A-100"}, ["fine", "waits", "fine+"]),
        ({"identifier": "A-1"}, ["fine", "waits", "again", "lost", "fine+"]),
        ({"identifier": "A-10", "identifier_name": "order"}, ["fine", "lost", "fine+"]),
        ({"identifier": "a"}, ["dropped"]),
        ({"identifier": "A-1", "standings": (Standing.DEAD,), "endpoint": "far"}, ["lost"]),
        ({"identifier": "A-1", "any_id": "waits"}, ["waits"]),
        ({"identifier": "B", "any_id": "waits"}, []),
        ({"identifier": "\U0010ffff"}, []),
        ({"identifier": "\ud7ff"}, []),
    ],
)
@pytest.mark.parametrize("few", [10_000, 0], ids=["few", "many"])
def test_each_filter(
    log: DeliveryLog, conditions: dict[str, Any], expected: list[str], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_log, "FEW", few)
    assert events(log, WHOLE, **conditions) == expected


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (WHOLE, EVERY),
        (OWNER, ["fine", "waits", "again", "dropped", "refund", "fine+"]),
        (STRANGER, []),
        (PRODUCER, []),
        (FOREIGN, []),
        (structs.replace(FOREIGN, client="crm", endpoints=frozenset({"hook"})), []),
    ],
    ids=["whole", "owner", "stranger", "producer", "foreign", "foreign-owner"],
)
def test_a_client_sees_the_deliveries_to_its_own_endpoints(
    log: DeliveryLog, scope: ReadScope, expected: list[str]
) -> None:
    assert events(log, scope) == expected
    for each in {name.rstrip("+") for name in EVERY}:
        mine = [name for name in expected if name.rstrip("+") == each]
        assert events(log, scope, any_id=each) == mine
        (endpoint,) = {row.delivery.endpoint for row in log.page(WHOLE, DeliveryQuery(any_id=each)).deliveries}
        assert events(log, scope, any_id=delivery_id(each, endpoint)) == mine
        assert len(log.delivery(scope, delivery_id(each, endpoint))) == len(mine)
        assert set(mine) <= set(events(log, scope, endpoint=endpoint)) <= set(expected)
    assert set(events(log, scope, identifier="A-1")) <= set(expected)


def test_a_delivery_tells_where_it_stands_and_of_which_event(log: DeliveryLog) -> None:
    (lost,) = log.page(WHOLE, DeliveryQuery(any_id="lost")).deliveries
    assert (lost.namespace, lost.code, lost.producer_id) == ("shop", "Order", "P-1")
    shown = lost.delivery
    assert (shown.outcome, shown.attempts, shown.status) == (Outcome.DEAD, 1, 404)
    assert (shown.reason, shown.dead_reason) == ("client_error", "the last attempt failed")
    # Its event is not in the ledger: the topic tells the type.
    (refund,) = log.page(WHOLE, DeliveryQuery(any_id=delivery_id("refund", "hook"))).deliveries
    assert (refund.namespace, refund.code, refund.producer_id) == ("shop", "Refund", None)


def test_a_single_delivery_has_each_run_with_its_own_attempts(log: DeliveryLog) -> None:
    live, replayed = log.delivery(WHOLE, delivery_id("fine", "hook"))
    assert [(each.outcome, each.status) for each in live.delivery.tries] == [(Outcome.DELIVERED, 204)]
    assert [(each.outcome, each.reason) for each in replayed.delivery.tries] == [(Outcome.RETRYING, "timeout")]
    assert log.delivery(WHOLE, "nothing") == []


def page_through(log: DeliveryLog, scope: ReadScope, query: DeliveryQuery, *, oldest_first: bool) -> list[str]:
    seen: list[str] = []
    cursor = None
    while True:
        page = log.page(scope, query, limit=7, cursor=cursor, oldest_first=oldest_first)
        seen += [each.delivery.id for each in page.deliveries]
        assert page.cursor is None or len(page.deliveries) == 7
        cursor = page.cursor
        if cursor is None:
            return seen


@pytest.fixture
def many(writer: LedgerWriter) -> list[Delivery]:
    """Deliveries to a dozen endpoints, several routed in the same instant."""
    chance = random.Random(3)
    deliveries = [routed(f"e{number:03}", f"hook-{chance.randrange(12)}", number // 5) for number in range(150)]
    outcomes = [tried(each, chance.choice(list(Outcome)), status=500) for each in deliveries if chance.random() < 0.7]
    writer.write(LedgerRows(deliveries=deliveries, attempts=outcomes))
    return deliveries


@pytest.mark.parametrize("parts", [100, 4])
@pytest.mark.parametrize("oldest_first", [False, True], ids=["newest", "oldest"])
def test_pages_are_complete_in_either_direction(
    engine: Engine, many: list[Delivery], *, parts: int, oldest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_log, "_PARTS", parts)
    log = DeliveryLog(engine)
    own = ReadScope(workspace="acme", client="c", endpoints=frozenset(f"hook-{number}" for number in range(7)))
    for scope in (WHOLE, own):
        expected = {each.id for each in many if scope.reads_endpoint(each.endpoint)}
        seen = page_through(log, scope, DeliveryQuery(), oldest_first=oldest_first)
        assert sorted(seen) == sorted(expected)
        at = {each.id: each.routed_at for each in many}
        assert [at[each] for each in seen] == sorted((at[each] for each in seen), reverse=not oldest_first)
        undelivered = DeliveryQuery(standings=(Standing.PENDING, Standing.DEAD, Standing.RETRYING))
        failed = page_through(log, scope, undelivered, oldest_first=oldest_first)
        assert failed == [each for each in seen if each in set(failed)]
        assert 0 < len(failed) < len(seen)


def test_pages_neither_skip_nor_repeat_while_deliveries_end_and_others_come(
    engine: Engine, writer: LedgerWriter, many: list[Delivery]
) -> None:
    log, chance = DeliveryLog(engine), random.Random(7)
    seen: list[str] = []
    cursor = None
    for number in range(1_000):
        page = log.page(WHOLE, DeliveryQuery(), limit=7, cursor=cursor)
        seen += [each.delivery.id for each in page.deliveries]
        cursor = page.cursor
        if cursor is None:
            break
        ended = [tried(each, chance.choice(list(Outcome)), 2) for each in chance.sample(many, 20)]
        new = [routed(f"new-{number}", "hook-1", 1_000 + number)]
        writer.write(LedgerRows(deliveries=[*new, *chance.sample(many, 20)], attempts=ended))
    assert sorted(seen) == sorted(each.id for each in many)


def test_a_page_goes_on_after_retention_took_its_end(
    engine: Engine, writer: LedgerWriter, many: list[Delivery]
) -> None:
    log = DeliveryLog(engine)
    first = log.page(WHOLE, DeliveryQuery(), limit=20, oldest_first=True)
    while writer.expire(T0 + 10):
        pass
    rest = log.page(WHOLE, DeliveryQuery(), limit=500, cursor=first.cursor, oldest_first=True)
    left = {each.delivery.id for each in log.page(WHOLE, DeliveryQuery(), limit=500).deliveries}
    assert {each.delivery.id for each in rest.deliveries} == left - {each.delivery.id for each in first.deliveries}
    assert len(left) < len(many)


@pytest.mark.parametrize("oldest_first", [False, True], ids=["newest", "oldest"])
def test_a_page_of_a_common_identifier_looks_at_a_part_of_the_list(
    engine: Engine, writer: LedgerWriter, many: list[Delivery], *, oldest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_log, "FEW", 1)
    monkeypatch.setattr(delivery_log, "LOOKED_AT", 20)
    writer.write(LedgerRows(identifiers=[named(each.event, "order", f"A-{each.event}") for each in many[60:70]]))
    log, query = DeliveryLog(engine), DeliveryQuery(identifier="A-")
    seen: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        page = log.page(WHOLE, query, limit=7, cursor=cursor, oldest_first=oldest_first)
        seen += [each.delivery.id for each in page.deliveries]
        cursor, pages = page.cursor, pages + 1
    assert sorted(seen) == sorted(each.id for each in many[60:70])
    assert 8 <= pages <= 10


@pytest.mark.parametrize("cursor", ["nonsense", "****", "é", "WyJhIiwiYiIsImMiLCJkIl0", "bnVsbA"])
def test_a_cursor_that_is_not_of_the_list_is_refused(log: DeliveryLog, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        log.page(WHOLE, DeliveryQuery(), cursor=cursor)


def orders_of_arrival() -> list[list[LedgerRows]]:
    """A delivery's records in different orders: routed, tried twice, given up."""
    one = routed("e", "hook")
    steps = [
        LedgerRows(deliveries=[one]),
        LedgerRows(attempts=[tried(one, Outcome.RETRYING, 1, status=500, next_at=T0 + 9)]),
        LedgerRows(attempts=[tried(one, Outcome.DEAD, 2, reason=Reason.TIMEOUT.value)]),
        LedgerRows(dead=[DeadDelivery(one, "given up")]),
    ]
    return [[steps[place] for place in order] for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (2, 3, 0, 1))]


@pytest.mark.parametrize("arrivals", orders_of_arrival())
def test_a_delivery_stands_the_same_in_whatever_order_its_records_come(
    engine: Engine, writer: LedgerWriter, arrivals: Sequence[LedgerRows]
) -> None:
    for rows in (*arrivals, *arrivals):
        writer.write(rows)
    log = DeliveryLog(engine)
    (found,) = log.page(WHOLE, DeliveryQuery(standings=(Standing.DEAD,), topics=(ORDERS,))).deliveries
    assert (found.delivery.outcome, found.delivery.attempts, found.delivery.reason) == (Outcome.DEAD, 2, "timeout")
    assert log.page(WHOLE, DeliveryQuery(standings=(Standing.RETRYING, Standing.PENDING))).deliveries == ()


def test_rows_of_an_earlier_version_are_completed(engine: Engine, writer: LedgerWriter, log: DeliveryLog) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE deliveries SET topic = NULL, standing = NULL"))
    assert events(log, WHOLE, topics=(ORDERS,)) == []
    assert (writer.fill_in(), writer.fill_in()) == (8, 0)
    assert events(log, WHOLE, topics=(ORDERS,)) == [each for each in EVERY if each != "refund"]
    assert events(log, WHOLE, standings=(Standing.DEAD,)) == ["lost", "broken"]
    assert events(log, WHOLE, standings=(Standing.PENDING,)) == ["waits"]
    assert events(log, WHOLE, standings=(Standing.DELIVERED,)) == ["fine", "refund"]


LISTS = [
    {},
    {"endpoint": "hook"},
    {"topics": (ORDERS,)},
    {"topics": (ORDERS, REFUNDS), "since": T0},
    {"standings": (Standing.DEAD,)},
    {"standings": (Standing.DEAD, Standing.RETRYING), "reasons": (Reason.TIMEOUT,), "topics": (ORDERS,)},
    {"endpoint": "hook", "standings": (Standing.PENDING,)},
    {"any_id": "lost"},
    {"identifier": "A-1"},
]


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("scope", [WHOLE, OWNER, STRANGER], ids=["whole", "owner", "stranger"])
def test_no_list_reads_or_sorts_the_whole_workspace(engine: Engine, log: DeliveryLog, scope: ReadScope) -> None:
    plans: list[str] = []

    def explain(connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        cursor = connection.connection.cursor()
        plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))
        cursor.close()

    listen(engine, "before_cursor_execute", explain)
    for conditions in LISTS:
        page = log.page(scope, DeliveryQuery(**conditions), limit=2)
        if page.cursor:
            log.page(scope, DeliveryQuery(**conditions), limit=2, cursor=page.cursor)
    log.delivery(scope, delivery_id("fine", "hook"))
    reads = [plan for plan in plans if re.search(r"\b(events|deliveries|identifiers|attempts)\b", plan)]
    assert reads
    whole = re.compile(r"SCAN (events|deliveries|identifiers|attempts)\b|\(workspace=\?\)|\(topic=\?\)")
    assert [plan for plan in reads if whole.search(plan)] == []
    undelivered = [plan for plan in reads if "deliveries_undelivered" in plan]
    assert len(undelivered) >= 3
