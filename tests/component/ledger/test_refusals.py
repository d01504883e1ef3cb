"""What a database cannot look for, cannot hold, or cannot do now: not to be taken for each other."""

from __future__ import annotations

import base64
import contextlib
import random
import traceback

import msgspec
import pytest
from sqlalchemy import Engine, create_engine

from backbone.ledger.queries import EventQuery, LedgerQueries
from backbone.ledger.rows import EventRow, LedgerRows, RequestRow
from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from families.event_service.ledger import EventSearches
from families.event_service.search import EventSearch
from schemas.model.batched_attempts import Settled, Settlement
from schemas.model.delivery import Outcome
from schemas.model.errors import CorruptRecord, InvalidRequest, Unavailable
from schemas.security.reading import ReadScope

ACME = ReadScope(workspace="acme")

NOW = 1_700_000_000_000_000


def event_row(event_id: str, data: str = "{}") -> EventRow:
    return EventRow(
        workspace="acme",
        id=event_id,
        topic="events.acme.events.Order",
        source_offset="events.acme.events.Order/0/7",
        namespace="events",
        code="Order",
        source="shop-1",
        subject=None,
        time=NOW,
        received_at=NOW,
        channel=None,
        identifiers="[]",
        data=data,
        producer_id=None,
    )


@pytest.mark.parametrize("cursor", ["9" * 30 + ":e1", "-" + "9" * 30 + ":e1", "1e3:e1", ":", "5:\0"])
def test_a_cursor_of_someones_own_making_is_refused_or_finds_nothing(
    engine: Engine, writer: LedgerWriter, cursor: str
) -> None:
    writer.write(LedgerRows(events=[event_row("e1")]))
    made_up = base64.urlsafe_b64encode(cursor.encode()).decode()
    with contextlib.suppress(InvalidRequest):
        assert LedgerQueries(engine).events(ACME, EventQuery(), cursor=made_up).events == ()


def test_text_that_no_event_has_is_refused_or_finds_nothing(engine: Engine, writer: LedgerWriter) -> None:
    writer.write(LedgerRows(events=[event_row("e1")]))
    queries = LedgerQueries(engine)
    with contextlib.suppress(InvalidRequest):
        assert queries.event(ACME, "e\0") is None
    with contextlib.suppress(InvalidRequest):
        assert queries.events(ACME, EventQuery(subject="\0")).events == ()


def test_tables_that_are_made_anew_are_no_fault_of_the_rows(engine: Engine, writer: LedgerWriter) -> None:
    rows = LedgerRows(events=[event_row("e1")])
    writer.drop()
    with pytest.raises(Unavailable):
        writer.write(rows)
    with pytest.raises(Unavailable):
        writer.expire(NOW)
    with pytest.raises(Unavailable):
        LedgerQueries(engine).event(ACME, "e1")
    writer.create()
    writer.write(rows)
    assert LedgerQueries(engine).event(ACME, "e1") is not None


def test_a_text_too_large_for_an_index_is_the_rows_fault(engine: Engine, writer: LedgerWriter) -> None:
    retried = "".join(random.Random(5).choices("0123456789abcdef", k=20_000))
    row = RequestRow(workspace="acme", event="e1", request="{}", retry_of=retried, received_at=NOW)
    try:
        writer.write(LedgerRows(requests=[row]))
    except CorruptRecord:
        assert engine.dialect.name == "postgresql"


def test_the_attempts_of_whatever_the_file_sink_takes_for_deliveries_can_be_held(
    engine: Engine, writer: LedgerWriter
) -> None:
    """Many share a record: one that is refused would keep the others from being known."""
    headers = dict.fromkeys(("hr_delivery", "hr_event", "hr_endpoint", "hr_workspace", "hr_run"), b"x" * 500)
    headers |= {"hr_source": b"t/%d/%d" % (2**70, 2**70), "hr_attempts": b"%d" % (2**31 - 2)}
    ended = Settlement(Outcome.DELIVERED, NOW, None, (Settled.from_headers(headers),))
    writer.write(LedgerRows(attempts=ended.attempts()))
    (found,) = LedgerQueries(engine).deliveries("x" * 500, "x" * 500)
    assert found.attempts == 2**31 - 1


def test_what_is_said_of_a_refused_row_does_not_show_it(writer: LedgerWriter) -> None:
    """It goes to the log and to ``dead-letters``: neither is the place for what people send in events."""
    row = msgspec.structs.replace(event_row("e1", '{"a": "s3cret"}'), topic=None)
    with pytest.raises(CorruptRecord, match=r"the ledger cannot hold it: .*topic") as refused:
        writer.write(LedgerRows(events=[row]))
    assert "s3cret" not in "".join(traceback.format_exception(refused.value))


def test_a_database_without_a_free_connection_is_unavailable(ledger_url: str) -> None:
    engine = open_ledger(ledger_url)
    LedgerWriter(engine).create()
    one = create_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=0.05)
    with one.connect():
        with pytest.raises(Unavailable):
            LedgerQueries(one).event(ACME, "e1")
        with pytest.raises(Unavailable):
            LedgerWriter(one).write(LedgerRows(events=[event_row("e1")]))
    for each in (engine, one):
        each.dispose()


def test_members_are_found_beside_events_whose_text_postgresql_cannot_hold(
    engine: Engine, writer: LedgerWriter
) -> None:
    data = {"e1": r'{"cameraId":"c1","text":"\u0000"}', "e2": r'{"cameraId":"c1"}', "e3": r'"\u0000"'}
    writer.write(LedgerRows(events=[event_row(name, text) for name, text in data.items()]))
    search = EventSearch(members=(((("cameraId",),), "c1"),))
    assert EventSearches(engine).count(ACME, search) == 2
