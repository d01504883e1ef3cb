"""The ledger on real databases: what is written twice or out of order reads the same."""

from __future__ import annotations

import random
import sqlite3
import threading
from itertools import permutations
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import func, select, text

from backbone.ledger.queries import EventQuery, LedgerQueries
from backbone.ledger.rows import DeadDelivery, EventRow, LedgerRows
from backbone.ledger.tables import ATTEMPTS, DELIVERIES, EVENTS, METADATA, open_ledger
from backbone.ledger.writer import LedgerWriter
from schemas.model.delivery import Attempt, Delivery, Outcome, SourceOffset
from schemas.model.errors import InvalidRequest, Misconfigured, Unavailable
from schemas.model.event import Identifier
from schemas.model.ids import attempt_id, delivery_id
from schemas.model.topics import event_topic
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

ACME = ReadScope(workspace="acme")

T0 = 1_700_000_000_000_000
SECOND = 1_000_000


def event_row(event_id: str = "e1", **changes: Any) -> EventRow:
    code = changes.get("code", "Order")
    topic = event_topic("acme", "events", code)
    row = EventRow(
        workspace="acme",
        id=event_id,
        topic=topic,
        source_offset=f"{topic}/0/7",
        namespace="events",
        code=code,
        source="shop-1",
        subject=None,
        time=T0,
        received_at=T0 + 5,
        channel="till",
        identifiers='[{"name":"customer","value":"c1"}]',
        data='{"total":125.50}',
        producer_id="theirs",
    )
    return msgspec.structs.replace(row, **changes)


def delivery(event_id: str = "e1", endpoint: str = "hook", **changes: Any) -> Delivery:
    found = Delivery(
        id=delivery_id(event_id, endpoint),
        event=event_id,
        endpoint=endpoint,
        workspace="acme",
        source=SourceOffset(event_topic("acme", "events", "Order"), 0, 7),
        subscriptions=("s1", "s2"),
        routed_at=T0 + 10,
    )
    return msgspec.structs.replace(found, **changes)


def attempt(of: Delivery, number: int, outcome: Outcome, **changes: Any) -> Attempt:
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
        started_at=T0 + number * SECOND,
        duration=0.25,
        status=200 if outcome is Outcome.DELIVERED else 500,
        error=None if outcome is Outcome.DELIVERED else "status 500",
        next_at=T0 + 60 * SECOND if outcome is Outcome.RETRYING else None,
    )
    return msgspec.structs.replace(made, **changes)


def count(engine: Engine, table: Any) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_an_event_with_its_deliveries_and_attempts(engine: Engine, writer: LedgerWriter) -> None:
    of = delivery()
    tries = [attempt(of, 1, Outcome.RETRYING, response="busy"), attempt(of, 2, Outcome.DELIVERED)]
    waiting = delivery(endpoint="other", routed_at=T0 + 11)
    writer.write(LedgerRows(events=[event_row()], deliveries=[of, waiting], attempts=tries))

    found = LedgerQueries(engine).event(ACME, "e1")

    assert found is not None
    assert (found.namespace, found.code, found.source, found.subject) == ("events", "Order", "shop-1", None)
    assert (found.time, found.received_at, found.channel) == (T0, T0 + 5, "till")
    assert found.identifiers == (Identifier("customer", "c1"),)
    assert bytes(found.data) == b'{"total":125.50}'
    assert found.producer_id == "theirs"
    assert found.offset == of.source
    first, second = found.deliveries
    assert (first.id, first.endpoint, first.subscriptions, first.routed_at) == (of.id, "hook", ("s1", "s2"), T0 + 10)
    assert (first.outcome, first.attempts, first.status, first.next_at) == (Outcome.DELIVERED, 2, 200, None)
    assert first.changed_at == T0 + 2 * SECOND + SECOND // 4
    assert [(each.number, each.outcome, each.status) for each in first.tries] == [
        (1, Outcome.RETRYING, 500),
        (2, Outcome.DELIVERED, 200),
    ]
    assert first.tries[0].response == "busy"
    assert first.tries[0].next_at == T0 + 60 * SECOND
    assert (second.endpoint, second.outcome, second.attempts, second.tries) == ("other", None, 0, ())


def test_an_event_of_another_workspace_is_not_found(engine: Engine, writer: LedgerWriter) -> None:
    writer.write(LedgerRows(events=[event_row()]))
    assert LedgerQueries(engine).event(ReadScope(workspace="other"), "e1") is None
    assert LedgerQueries(engine).event(ACME, "e2") is None


def test_writing_again_changes_nothing(engine: Engine, writer: LedgerWriter) -> None:
    of = delivery()
    rows = LedgerRows(
        events=[event_row(), event_row()],
        deliveries=[of, of],
        attempts=[attempt(of, 1, Outcome.RETRYING), attempt(of, 2, Outcome.DEAD)],
        dead=[DeadDelivery(of, "no more retries")],
    )
    writer.write(rows)
    before = LedgerQueries(engine).event(ACME, "e1")
    writer.write(rows)
    assert LedgerQueries(engine).event(ACME, "e1") == before
    assert (count(engine, EVENTS), count(engine, DELIVERIES), count(engine, ATTEMPTS)) == (1, 1, 2)


def test_the_order_of_arrival_does_not_matter(engine: Engine, writer: LedgerWriter) -> None:
    of = delivery()
    parts = [
        LedgerRows(events=[event_row()]),
        LedgerRows(deliveries=[of]),
        LedgerRows(attempts=[attempt(of, 1, Outcome.RETRYING)]),
        LedgerRows(attempts=[attempt(of, 2, Outcome.DEAD)]),
        LedgerRows(dead=[DeadDelivery(of, "no more retries")]),
    ]
    seen = []
    orders = list(permutations(parts))
    random.Random(7).shuffle(orders)
    for order in orders[:40]:
        for part in order:
            writer.write(part)
        seen.append(LedgerQueries(engine).event(ACME, "e1"))
        with engine.begin() as connection:
            for table in METADATA.sorted_tables:
                connection.execute(table.delete())
    assert seen[0] is not None
    (only,) = seen[0].deliveries
    assert (only.outcome, only.dead_reason, only.attempts, only.subscriptions) == (
        Outcome.DEAD,
        "no more retries",
        2,
        ("s1", "s2"),
    )
    assert all(each == seen[0] for each in seen)


def test_a_delivered_delivery_stays_delivered(engine: Engine, writer: LedgerWriter) -> None:
    of = delivery()
    writer.write(LedgerRows(attempts=[attempt(of, 2, Outcome.DELIVERED)]))
    writer.write(LedgerRows(attempts=[attempt(of, 1, Outcome.RETRYING)], deliveries=[of]))
    (only,) = LedgerQueries(engine).deliveries("acme", "e1")
    assert (only.outcome, only.attempts, only.next_at) == (Outcome.DELIVERED, 2, None)


def test_the_repeat_of_an_attempt_after_a_crash_replaces_it(engine: Engine, writer: LedgerWriter) -> None:
    of = delivery()
    writer.write(LedgerRows(attempts=[attempt(of, 1, Outcome.RETRYING)]))
    writer.write(LedgerRows(attempts=[attempt(of, 1, Outcome.DELIVERED, started_at=T0 + 9 * SECOND)]))
    (only,) = LedgerQueries(engine).deliveries("acme", "e1")
    assert only.outcome is Outcome.DELIVERED
    assert [each.started_at for each in only.tries] == [T0 + 9 * SECOND]


def test_runs_and_source_offsets_of_one_delivery_are_told_apart(engine: Engine, writer: LedgerWriter) -> None:
    live = delivery()
    replayed = delivery(run="nonce", routed_at=T0 + 20)
    written_twice = delivery(source=SourceOffset(live.source.topic, 0, 8), routed_at=T0 + 30)
    writer.write(
        LedgerRows(
            deliveries=[live, replayed, written_twice],
            attempts=[attempt(live, 1, Outcome.DELIVERED), attempt(replayed, 1, Outcome.RETRYING)],
        )
    )
    found = LedgerQueries(engine).deliveries("acme", "e1")
    assert [(each.run, each.source.offset, each.outcome) for each in found] == [
        ("live", 7, Outcome.DELIVERED),
        ("nonce", 7, Outcome.RETRYING),
        ("live", 8, None),
    ]


def test_text_that_postgresql_cannot_hold_is_kept_without_it(engine: Engine, writer: LedgerWriter) -> None:
    of = delivery()
    writer.write(
        LedgerRows(
            events=[event_row(subject="a\0b")], deliveries=[of], attempts=[attempt(of, 1, Outcome.DEAD, response="\0")]
        )
    )
    found = LedgerQueries(engine).event(ACME, "e1")
    assert found is not None
    assert found.subject == "a\ufffdb"
    assert found.deliveries[0].tries[0].response == "\ufffd"


def test_a_batch_is_written_whole_or_not_at_all(engine: Engine, writer: LedgerWriter) -> None:
    of = delivery()
    with pytest.raises(Exception):  # noqa: B017, PT011 -- each driver has its own for a number that is too large
        writer.write(LedgerRows(events=[event_row()], attempts=[attempt(of, 2**70, Outcome.DEAD)]))
    assert count(engine, EVENTS) == 0


def test_pages_of_events_are_complete_and_newest_first(engine: Engine, writer: LedgerWriter) -> None:
    # Several events share a received time, so that a page may end between them.
    rows = [event_row(f"e{number:03}", received_at=T0 + number // 4) for number in range(50)]
    random.Random(3).shuffle(rows)
    writer.write(LedgerRows(events=rows))
    queries = LedgerQueries(engine)
    seen: list[str] = []
    cursor = None
    while True:
        page = queries.events(ACME, EventQuery(), limit=7, cursor=cursor)
        seen += [each.id for each in page.events]
        cursor = page.cursor
        if cursor is None:
            break
    expected = sorted(rows, key=lambda row: (row.received_at, row.id), reverse=True)
    assert seen == [row.id for row in expected]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ["e", "d", "c", "b", "a"]),
        ({"namespace": "events", "type": "Refund"}, ["b"]),
        ({"type": "shop/Order"}, ["e"]),
        ({"source": "/o"}, ["e"]),
        ({"clientid": "shop-3"}, ["e"]),
        ({"namespace": "events"}, ["e", "d", "c", "b", "a"]),
        ({"source": "shop-2"}, ["c"]),
        ({"subject": "x"}, ["d"]),
        ({"since": T0 + 2}, ["e", "d", "c"]),
        ({"until": T0 + 2}, ["b", "a"]),
        ({"since": T0 + 1, "until": T0 + 3, "source": "shop-1"}, ["b"]),
    ],
)
def test_events_by_what_they_are(
    engine: Engine, writer: LedgerWriter, conditions: dict[str, Any], expected: list[str]
) -> None:
    writer.write(
        LedgerRows(
            events=[
                event_row("a", received_at=T0),
                event_row("b", received_at=T0 + 1, code="Refund"),
                event_row("c", received_at=T0 + 2, source="shop-2"),
                event_row("d", received_at=T0 + 3, subject="x"),
                event_row("e", received_at=T0 + 4, source="shop-3", ce_source="/o", type="shop/Order"),
                event_row("z", workspace="other"),
            ]
        )
    )
    page = LedgerQueries(engine).events(ACME, EventQuery(**conditions))
    assert [each.id for each in page.events] == expected
    assert page.cursor is None


@pytest.mark.parametrize(("limit", "cursor"), [(0, None), (501, None), (5, "nonsense"), (5, "****"), (5, "é")])
def test_a_page_that_cannot_be_asked_for(engine: Engine, writer: LedgerWriter, limit: int, cursor: str | None) -> None:
    del writer
    with pytest.raises(InvalidRequest):
        LedgerQueries(engine).events(ACME, EventQuery(), limit=limit, cursor=cursor)


def expired(writer: LedgerWriter) -> list[int]:
    """How many rows each call deletes, until none is left."""
    rows = [writer.expire(T0 + 7)]
    while rows[-1]:
        rows.append(writer.expire(T0 + 7))
    return rows


def test_what_is_old_expires(engine: Engine, writer: LedgerWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backbone.ledger.writer._EXPIRED_AT_ONCE", 3)
    events = [event_row(f"e{number}", received_at=T0 + number) for number in range(10)]
    deliveries = [delivery(f"e{number}", routed_at=T0 + number) for number in range(10)]
    attempts = [attempt(each, 1, Outcome.DELIVERED, started_at=each.routed_at) for each in deliveries]
    writer.write(LedgerRows(events=events, deliveries=deliveries))
    assert expired(writer) == [6, 6, 2, 0]
    writer.write(LedgerRows(attempts=attempts))
    assert expired(writer) == [3, 3, 1, 0]
    assert (count(engine, EVENTS), count(engine, ATTEMPTS)) == (3, 3)
    assert LedgerQueries(engine).event(ACME, "e6") is None
    assert LedgerQueries(engine).event(ACME, "e7") is not None


def test_the_tables_may_be_created_by_several_at_once_and_again(ledger_url: str) -> None:
    engines = [open_ledger(ledger_url) for _ in range(4)]
    failures: list[BaseException] = []
    start = threading.Barrier(len(engines))

    def create(engine: Engine) -> None:
        start.wait()
        try:
            LedgerWriter(engine).create()
        except BaseException as error:  # noqa: BLE001 -- told to the test
            failures.append(error)

    threads = [threading.Thread(target=create, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.dispose()
    assert failures == []


def test_dropped_and_created_again_it_is_empty(engine: Engine, writer: LedgerWriter) -> None:
    writer.write(LedgerRows(events=[event_row()]))
    writer.drop()
    writer.create()
    assert count(engine, EVENTS) == 0


def test_two_indexers_at_once_come_out_right(ledger_url: str) -> None:
    engines = [open_ledger(ledger_url) for _ in range(2)]
    LedgerWriter(engines[0]).create()
    deliveries = [delivery(f"e{number}") for number in range(200)]
    failures: list[BaseException] = []

    def index(engine: Engine, seed: int) -> None:
        shuffled = deliveries.copy()
        random.Random(seed).shuffle(shuffled)
        writer = LedgerWriter(engine)
        try:
            for start in range(0, 200, 20):
                part = shuffled[start : start + 20]
                rows = LedgerRows(deliveries=part, attempts=[attempt(each, 1, Outcome.DELIVERED) for each in part])
                while True:
                    try:
                        writer.write(rows)
                    except Unavailable:
                        continue
                    break
        except BaseException as error:  # noqa: BLE001 -- told to the test
            failures.append(error)

    threads = [threading.Thread(target=index, args=(engine, seed)) for seed, engine in enumerate(engines)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (count(engines[0], DELIVERIES), count(engines[0], ATTEMPTS)) == (200, 200)
    for engine in engines:
        engine.dispose()


def test_a_database_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    engine = open_ledger("postgresql+psycopg://nobody@/none?host=" + str(tmp_path))
    with pytest.raises(Unavailable):
        LedgerWriter(engine).write(LedgerRows(events=[event_row()]))
    with pytest.raises(Unavailable):
        LedgerWriter(engine).create()
    with pytest.raises(Unavailable):
        LedgerQueries(engine).event(ACME, "e1")
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://localhost/x", "no url at all", "sqlite+nothing:///x"])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="HEADRACE_LEDGER_URL"):
        open_ledger(url)


@pytest.mark.parametrize("url", ["postgres://h/d", "postgresql://h/d", "postgresql+psycopg://h/d"])
def test_the_usual_spellings_of_a_postgresql_url(url: str) -> None:
    engine = open_ledger(url)
    assert engine.url.drivername == "postgresql+psycopg"
    engine.dispose()


def test_sqlite_lets_readers_and_the_writer_work_at_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "ledger.sqlite3"
    engine = open_ledger(f"sqlite:///{path}")
    LedgerWriter(engine).create()
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchone()
    LedgerWriter(engine).write(LedgerRows(events=[event_row()]))
    reader.close()
    assert count(engine, EVENTS) == 1
    engine.dispose()
