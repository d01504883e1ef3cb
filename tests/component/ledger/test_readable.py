"""What a reader of the ledger gets: the events that it published and those delivered to its endpoints."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs
from sqlalchemy.event import listen

from backbone.ledger import readable
from backbone.ledger.queries import EventQuery, LedgerQueries
from backbone.ledger.rows import EventRow, LedgerRows
from families.event_service.ledger import EventSearches
from families.event_service.search import EventSearch
from schemas.model.delivery import Attempt, Delivery, Outcome, SourceOffset
from schemas.model.ids import attempt_id, delivery_id
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from backbone.ledger.writer import LedgerWriter

T0 = 1_700_000_000_000_000
SOURCE = SourceOffset("events.acme.events.Order", 0, 7)

WHOLE = ReadScope(workspace="acme")
PRODUCER = ReadScope(workspace="acme", client="shop")
SUBSCRIBER = ReadScope(workspace="acme", client="crm", endpoints=frozenset({"hook", "idle"}))
BOTH = ReadScope(workspace="acme", client="shop", endpoints=frozenset({"hook", "idle"}))
NOBODY = ReadScope(workspace="acme", client="other", endpoints=frozenset({"nothing"}))
FOREIGN = ReadScope(workspace="umbrella")
FOREIGN_PRODUCER = ReadScope(workspace="umbrella", client="shop", endpoints=frozenset({"hook"}))


def event(event_id: str, client: str) -> EventRow:
    return EventRow(
        workspace="acme",
        id=event_id,
        topic=SOURCE.topic,
        source_offset=str(SOURCE),
        namespace="events",
        code="Order",
        source=client,
        subject=None,
        time=T0,
        received_at=T0,
        channel=None,
        identifiers="[]",
        data='{"total":1}',
        producer_id=None,
    )


def delivery(event_id: str, endpoint: str) -> Delivery:
    return Delivery(
        id=delivery_id(event_id, endpoint),
        event=event_id,
        endpoint=endpoint,
        workspace="acme",
        source=SOURCE,
        subscriptions=("s",),
        routed_at=T0,
    )


def attempt(of: Delivery, outcome: Outcome) -> Attempt:
    return Attempt(
        id=attempt_id(of.id, of.run, 1),
        delivery=of.id,
        event=of.event,
        endpoint=of.endpoint,
        workspace=of.workspace,
        source=of.source,
        run=of.run,
        number=1,
        outcome=outcome,
        started_at=T0,
        duration=0.1,
        status=500,
        error="said the receiver",
        response="a secret of the receiver",
    )


@pytest.fixture
def ledger(engine: Engine, writer: LedgerWriter) -> Engine:
    """``sold`` went to the hook, a stranger's endpoint and one that was not tried; ``lost`` to strangers only."""
    hook, stranger, waiting = (delivery("sold", endpoint) for endpoint in ("hook", "stranger", "waiting"))
    lost = delivery("lost", "stranger")
    attempts = [
        attempt(hook, Outcome.DELIVERED),
        attempt(stranger, Outcome.RETRYING),
        attempt(lost, Outcome.DELIVERED),
    ]
    events = [event("sold", "shop"), event("lost", "till"), event("kept", "shop")]
    writer.write(LedgerRows(events=events, deliveries=[hook, stranger, waiting, lost], attempts=attempts))
    return engine


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        (WHOLE, {"sold", "lost", "kept"}),
        (PRODUCER, {"sold", "kept"}),
        (SUBSCRIBER, {"sold"}),
        (NOBODY, set()),
        (FOREIGN, set()),
        (FOREIGN_PRODUCER, set()),
    ],
    ids=["whole", "producer", "subscriber", "nobody", "foreign", "foreign-producer"],
)
def test_every_query_finds_the_same_events(ledger: Engine, scope: ReadScope, seen: set[str]) -> None:
    queries, searches = LedgerQueries(ledger), EventSearches(ledger)
    every = ("sold", "lost", "kept", "unknown")
    assert {each.id for each in queries.events(scope, EventQuery()).events} == seen
    assert {each.id for each in queries.events(scope, EventQuery(namespace="events", type="Order")).events} == seen
    assert {each for each in every if queries.event(scope, each) is not None} == seen
    assert {each for each in every if queries.called(scope, each, None)} == seen
    assert queries.readable(scope, every) == seen
    assert queries.readable(scope, ()) == set()
    assert searches.count(scope, EventSearch()) == len(seen)
    assert {each.id for each in searches.page(scope, EventSearch(), offset=0, limit=10)} == seen


def test_a_producer_sees_counts_and_outcomes_but_no_endpoint_of_others(ledger: Engine) -> None:
    found = LedgerQueries(ledger).event(PRODUCER, "sold")
    assert found is not None
    assert found.outcomes == {"delivered": 1, "retrying": 1, "pending": 1}
    assert found.deliveries == ()


def test_a_subscriber_sees_its_own_deliveries_and_nothing_of_the_others(ledger: Engine) -> None:
    found = LedgerQueries(ledger).event(SUBSCRIBER, "sold")
    assert found is not None
    assert found.outcomes == {"delivered": 1}
    assert [(each.endpoint, each.tries[0].response) for each in found.deliveries] == [
        ("hook", "a secret of the receiver")
    ]


def test_who_published_and_received_it_counts_all_and_sees_its_own(ledger: Engine) -> None:
    both = ReadScope(workspace="acme", client="shop", endpoints=frozenset({"stranger"}))
    found = LedgerQueries(ledger).event(both, "sold")
    assert found is not None
    assert found.outcomes == {"delivered": 1, "retrying": 1, "pending": 1}
    assert [each.endpoint for each in found.deliveries] == ["stranger"]


def pages(queries: LedgerQueries, scope: ReadScope, query: EventQuery, limit: int) -> list[str]:
    """The ids on all pages."""
    seen: list[str] = []
    cursor = None
    while True:
        page = queries.events(scope, query, limit=limit, cursor=cursor)
        seen += [each.id for each in page.events]
        cursor = page.cursor
        if cursor is None:
            return seen


@pytest.fixture
def mixed(engine: Engine, writer: LedgerWriter) -> list[str]:
    """Events of which ``BOTH`` published some, received some and both; returns the ids of these, the latest first."""
    chance = random.Random(5)
    # Several share an instant, so that a page may end between them.
    rows = [
        structs.replace(
            event(f"e{number:03}", chance.choice(["shop", "till"])), received_at=T0 + number // 5, time=T0 - number
        )
        for number in range(120)
    ]
    sent = [delivery(row.id, endpoint) for row in rows for endpoint in ("hook", "idle", "far") if chance.random() < 0.2]
    again = [structs.replace(each, run="again") for each in sent[::3]]
    # What it received and has expired, and another workspace's event of the same id, are not to be seen.
    gone = delivery("gone", "hook")
    foreign = structs.replace(rows[0], workspace="umbrella")
    writer.write(LedgerRows(events=[*rows, foreign], deliveries=[*sent, *again, gone]))
    received = {each.event for each in sent if each.endpoint in BOTH.endpoints}
    own = [row for row in rows if row.source == "shop" or row.id in received]
    assert len(received & {row.id for row in rows if row.source == "shop"}) > 10
    return [row.id for row in sorted(own, key=lambda row: (row.received_at, row.id), reverse=True)]


@pytest.fixture(params=[10_000, 3], ids=["few", "many"])
def _few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readable, "FEW", request.param)


@pytest.mark.usefixtures("_few")
@pytest.mark.parametrize("query", [EventQuery(), EventQuery(namespace="events", type="Order", since=T0)])
def test_pages_of_published_and_received_events_skip_and_repeat_none(
    engine: Engine, mixed: list[str], query: EventQuery
) -> None:
    queries = LedgerQueries(engine)
    assert pages(queries, BOTH, query, 7) == mixed
    assert pages(queries, BOTH, query, 500) == mixed


@pytest.mark.usefixtures("_few")
def test_searches_count_and_page_published_and_received_events(engine: Engine, mixed: list[str]) -> None:
    searches, search = EventSearches(engine), EventSearch(code="Order")
    assert searches.count(BOTH, search) == len(mixed)
    # The later an event was accepted, the earlier it happened: ids are in the order in which they were accepted.
    earliest = sorted(mixed)
    for by_time, newest_first, expected in [
        (False, True, mixed),
        (False, False, mixed[::-1]),
        (True, True, earliest),
        (True, False, earliest[::-1]),
    ]:
        found = [
            each.id
            for offset in range(0, len(mixed) + 7, 7)
            for each in searches.page(BOTH, search, offset=offset, limit=7, by_time=by_time, newest_first=newest_first)
        ]
        assert found == expected


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "scope",
    [WHOLE, PRODUCER, SUBSCRIBER, BOTH, NOBODY],
    ids=["whole", "producer", "subscriber", "both", "nobody"],
)
def test_what_a_client_asks_for_does_not_read_the_whole_workspace(ledger: Engine, scope: ReadScope) -> None:
    plans: list[str] = []

    def explain(connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        cursor = connection.connection.cursor()
        plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))
        cursor.close()

    listen(ledger, "before_cursor_execute", explain)
    queries, searches = LedgerQueries(ledger), EventSearches(ledger)
    queries.event(scope, "unknown")
    queries.called(scope, "unknown", None)
    queries.called(scope, "unknown", "shop")
    if scope.client is not None:
        queries.events(scope, EventQuery())
        queries.events(scope, EventQuery(namespace="events", type="Order", since=T0))
        searches.count(scope, EventSearch())
        searches.page(scope, EventSearch(), offset=3, limit=3)
        searches.page(scope, EventSearch(code="Order"), offset=0, limit=3, by_time=True)
    reads = [plan for plan in plans if re.search(r"\b(events|deliveries)\b", plan)]
    assert reads
    whole = re.compile(r"SCAN (events|deliveries)\b|\(workspace=\?\)|\(topic=\?")
    assert [plan for plan in reads if whole.search(plan)] == []


def test_a_page_of_few_among_many_events_of_others_is_complete(engine: Engine, writer: LedgerWriter) -> None:
    others = [event(f"other-{number}", "till") for number in range(300)]
    writer.write(LedgerRows(events=[*others, *(event(f"own-{number}", "shop") for number in range(5))]))
    queries = LedgerQueries(engine)
    assert sorted(pages(queries, PRODUCER, EventQuery(), 2)) == [f"own-{number}" for number in range(5)]
