"""What a reader of the ledger gets: the events that it published and those delivered to its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backbone.ledger.queries import EventQuery, LedgerQueries
from backbone.ledger.rows import EventRow, LedgerRows
from backbone.ledger.searches import EventSearches
from schemas.delivery import Attempt, Delivery, Outcome, SourceOffset
from schemas.event_search import EventSearch
from schemas.ids import attempt_id, delivery_id
from schemas.reading import ReadScope

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from backbone.ledger.writer import LedgerWriter

T0 = 1_700_000_000_000_000
SOURCE = SourceOffset("events.acme.events.Order", 0, 7)

WHOLE = ReadScope(workspace="acme")
PRODUCER = ReadScope(workspace="acme", client="shop")
SUBSCRIBER = ReadScope(workspace="acme", client="crm", endpoints=frozenset({"hook", "idle"}))
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


def test_a_page_of_few_among_many_events_of_others_is_complete(engine: Engine, writer: LedgerWriter) -> None:
    others = [event(f"other-{number}", "till") for number in range(300)]
    writer.write(LedgerRows(events=[*others, *(event(f"own-{number}", "shop") for number in range(5))]))
    queries = LedgerQueries(engine)
    seen: list[str] = []
    cursor = None
    while True:
        page = queries.events(PRODUCER, EventQuery(), limit=2, cursor=cursor)
        seen += [each.id for each in page.events]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(seen) == [f"own-{number}" for number in range(5)]
