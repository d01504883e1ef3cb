"""Pages of events that would be too large for one answer, on real databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from backbone.ledger import reading
from backbone.ledger.contract_calls import ExecutionQueries, ReceivedQuery
from backbone.ledger.queries import EventQuery, LedgerQueries
from backbone.ledger.rows import LedgerRows, RequestRow
from families.event_service.ledger import EventSearches
from families.event_service.search import EventSearch
from schemas.model.errors import InvalidRequest
from schemas.security.reading import ReadScope
from tests.component.ledger.test_refusals import event_row

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from backbone.ledger.writer import LedgerWriter

LARGE = '"' + "x" * 998 + '"'
ACME = ReadScope(workspace="acme")
QUERY = EventQuery()


@pytest.fixture
def ids(writer: LedgerWriter, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Five events, two of which fit into a page; the last first, as they are shown."""
    monkeypatch.setattr(reading, "MOST_DATA", 2_500)
    names = [f"e{number}" for number in range(5)]
    writer.write(LedgerRows(events=[event_row(name, LARGE) for name in names]))
    return names[::-1]


def test_a_page_with_a_cursor_ends_where_it_becomes_too_large(engine: Engine, ids: list[str]) -> None:
    found, cursor = [], None
    for size in (2, 2, 1):
        page = LedgerQueries(engine).events(ACME, QUERY, limit=4, cursor=cursor)
        assert len(page.events) == size
        found += [each.id for each in page.events]
        cursor = page.cursor

    assert (found, cursor) == (ids, None)


def test_an_event_that_is_too_large_alone_is_a_page(
    engine: Engine, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_DATA", 10)

    page = LedgerQueries(engine).events(ACME, QUERY, limit=1)

    assert [each.id for each in page.events] == ids[:1]
    assert page.cursor is not None


def test_whatever_of_an_event_is_large_counts(
    engine: Engine, writer: LedgerWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_DATA", 2_500)
    identifiers = f'[{{"name":"n","value":{LARGE}}}]'
    events = [msgspec.structs.replace(event_row(f"e{number}"), identifiers=identifiers) for number in range(3)]
    request = f'{{"url":{LARGE}}}'
    requests = [
        RequestRow(workspace="acme", event=each.id, request=request, retry_of=None, received_at=1) for each in events
    ]
    writer.write(LedgerRows(events=events, requests=requests))

    page = LedgerQueries(engine).events(ACME, QUERY, limit=3)
    assert len(page.events) == 2
    assert page.cursor is not None
    received = ReceivedQuery(workspace="acme", namespace="events")
    with pytest.raises(InvalidRequest, match="ask for fewer"):
        ExecutionQueries(engine).page(received, limit=3, offset=0, newest_first=True)


@pytest.mark.usefixtures("ids")
def test_a_page_by_number_is_refused_and_a_smaller_one_is_not(engine: Engine) -> None:
    search = EventSearch()
    received = ReceivedQuery(workspace="acme", namespace="events")

    assert len(EventSearches(engine).page(ACME, search, offset=1, limit=2)) == 2
    assert len(ExecutionQueries(engine).page(received, limit=2, offset=3, newest_first=True)) == 2
    with pytest.raises(InvalidRequest, match="ask for fewer"):
        EventSearches(engine).page(ACME, search, offset=1, limit=3)
    with pytest.raises(InvalidRequest, match="ask for fewer"):
        ExecutionQueries(engine).page(received, limit=3, offset=0, newest_first=False)
