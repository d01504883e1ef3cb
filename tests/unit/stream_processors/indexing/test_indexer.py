"""From raw records to ledger rows, with real codecs and a real SQLite."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.catalog.view import CatalogView
from backbone.ledger.balance import Balance, BalanceQuery
from backbone.ledger.contract_calls import ExecutionQueries
from backbone.ledger.letters import LetterQueries, LetterQuery
from backbone.ledger.queries import EventQuery, LedgerQueries
from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from schemas.avro.codec import EventDecoder
from schemas.avro.schema import schema_text
from schemas.avro.validation import EventWriter
from schemas.model import topics
from schemas.model.access import Workspace
from schemas.model.batched_attempts import Settled, Settlement
from schemas.model.contract_call import ReceivedRequest
from schemas.model.delivery import (
    Attempt,
    Contract,
    Delivery,
    GroupedDelivery,
    Outcome,
    ReceiptKind,
    RoutingReceipt,
    SourceOffset,
)
from schemas.model.errors import Unavailable
from schemas.model.event import EventDraft, Identifier
from schemas.model.event_type import Attribute, EventType, LedgerPolicy
from schemas.model.ids import attempt_id, delivery_id
from schemas.model.topics import event_topic
from schemas.security.reading import ReadScope
from stream_processors.indexing.indexer import LedgerIndexer
from tests.support.consumed_messages import ConsumedMessage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backbone.ledger.rows import LedgerRows
    from schemas.avro.codec import DecodedEvent
    from stream_processors.indexing.indexer import Decode

ACME = ReadScope(workspace="acme")

NOW = 1_700_000_000_000_000
HOUR_OF_NOW = "2023-11-14T22"
ATTRIBUTES = (Attribute(name="total", type="Number"), Attribute(name="paidAt", type="Time"))
consumed = partial(ConsumedMessage, partition=2)
DECODER = EventDecoder(schema_text(workspace="acme", namespace="events", code="Order", attributes=ATTRIBUTES))


class World:
    """An indexer over a database and a catalog, and what was set aside."""

    def __init__(self, path: Path) -> None:
        self.engine = open_ledger(f"sqlite:///{path}/ledger.sqlite3")
        self.writer = LedgerWriter(self.engine)
        self.writer.create()
        self.queries = LedgerQueries(self.engine)
        self.view = CatalogView()
        self.view.put(Workspace(id="w", name="acme", created_at=0, updated_at=0), NOW)
        self.kinds = {policy: self.event_type(policy) for policy in LedgerPolicy}
        self.set_aside: list[tuple[Any, str]] = []
        self.indexer = self.indexer_with(self.writer)

    def indexer_with(self, writer: Any, decode: Decode = DECODER.decode) -> LedgerIndexer:
        return LedgerIndexer(
            writer=writer,
            view=self.view,
            decode=decode,
            set_aside=lambda message, reason: self.set_aside.append((message, reason)),
        )

    def event_type(self, policy: LedgerPolicy) -> EventType:
        kind = EventType(
            workspace="acme",
            namespace="events",
            code=f"Order-{policy.value}",
            attributes=ATTRIBUTES,
            effective_partitions=1,
            schema_id=1,
            ledger=policy,
            created_at=0,
            updated_at=0,
        )
        self.view.put(kind, NOW)
        return kind

    def event(
        self, event_id: str, policy: LedgerPolicy = LedgerPolicy.ALL, *, producer_id: str | None = None
    ) -> ConsumedMessage:
        kind = self.kinds[policy]
        draft = EventDraft(
            workspace="acme",
            namespace=kind.namespace,
            code=kind.code,
            client="shop-1",
            publisher="shop-1",
            data=b'{"total":125.50,"paidAt":"2021-03-04T16:36:54.591Z"}',
            subject="s",
            time=NOW,
            channel="till",
            identifiers=(Identifier("customer", "c1"),),
        )
        value, _ = EventWriter(kind, None).write(draft, event_id=event_id, received_at=NOW + 1)
        return consumed(kind.topic, value, [("ce_id", (producer_id or event_id).encode())])

    def delivery(self, event_id: str, policy: LedgerPolicy = LedgerPolicy.ALL) -> tuple[Delivery, ConsumedMessage]:
        event = self.event(event_id, policy)
        delivery = Delivery(
            id=delivery_id(event_id, "hook"),
            event=event_id,
            endpoint="hook",
            workspace="acme",
            source=SourceOffset(event.topic(), 2, 7),
            subscriptions=("s1",),
            routed_at=NOW + 2,
        )
        headers = (event.headers() or []) + delivery.to_headers()
        return delivery, consumed(topics.WEBHOOK_DELIVERIES, event.value(), headers)


def attempt(of: Delivery, **changes: Any) -> Attempt:
    made = Attempt(
        id=attempt_id(of.id, of.run, 1),
        delivery=of.id,
        event=of.event,
        endpoint=of.endpoint,
        workspace=of.workspace,
        source=of.source,
        run=of.run,
        number=1,
        outcome=Outcome.DELIVERED,
        started_at=NOW + 3,
        duration=0.1,
        status=200,
    )
    return msgspec.structs.replace(made, **changes)


def attempt_message(of: Delivery, **changes: Any) -> ConsumedMessage:
    return consumed(topics.ATTEMPTS, msgspec.json.encode(attempt(of, **changes)))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.engine.dispose()


def test_an_event_its_delivery_and_its_attempt(world: World) -> None:
    delivery, routed = world.delivery("e1")
    assert world.indexer.index([world.event("e1", producer_id="theirs"), routed, attempt_message(delivery)]) == 3
    found = world.queries.event(ACME, "e1")
    assert found is not None
    assert (found.namespace, found.code, found.source, found.subject) == ("events", "Order-all", "shop-1", "s")
    assert (found.time, found.received_at, found.channel) == (NOW, NOW + 1, "till")
    assert found.identifiers == (Identifier("customer", "c1"),)
    assert bytes(found.data) == b'{"total":125.50,"paidAt":"2021-03-04T16:36:54.591Z"}'
    assert found.producer_id == "theirs"
    assert found.offset == delivery.source
    (only,) = found.deliveries
    assert (only.outcome, only.attempts, only.subscriptions) == (Outcome.DELIVERED, 1, ("s1",))
    assert world.set_aside == []


def test_an_id_that_is_ours_is_not_the_producers(world: World) -> None:
    world.indexer.index([world.event("e1")])
    found = world.queries.event(ACME, "e1")
    assert found is not None
    assert found.producer_id is None


def test_a_type_of_which_only_delivered_events_are_kept(world: World) -> None:
    world.indexer.index([world.event("e1", LedgerPolicy.DELIVERED), world.event("e2", LedgerPolicy.DELIVERED)])
    assert world.queries.events(ACME, EventQuery()).events == ()
    delivery, routed = world.delivery("e1", LedgerPolicy.DELIVERED)
    world.indexer.index([routed])
    (only,) = world.queries.events(ACME, EventQuery()).events
    assert (only.id, only.offset) == ("e1", delivery.source)


def test_a_type_of_which_nothing_is_kept(world: World) -> None:
    delivery, routed = world.delivery("e1", LedgerPolicy.NONE)
    dead = consumed(topics.DEAD_LETTERS, routed.value(), [*delivery.to_headers(), ("hr_dead_kind", b"delivery")])
    batch = [world.event("e1", LedgerPolicy.NONE), routed, attempt_message(delivery), dead]
    # Only the dead letter: somebody has to decide about it.
    assert world.indexer.index(batch) == 1


def receipt(world: World, policy: LedgerPolicy = LedgerPolicy.ALL, offset: int = 7, **changes: Any) -> ConsumedMessage:
    about = RoutingReceipt(
        kind=ReceiptKind.ROUTED,
        topic=world.kinds[policy].topic,
        partition=2,
        first_offset=offset,
        next_offset=offset + 1,
        events=1,
        matched={"hook": {HOUR_OF_NOW: 1}},
        routed_at=NOW + 2,
    )
    value = msgspec.json.encode(msgspec.structs.replace(about, **changes))
    return consumed(topics.ROUTING_RECEIPTS, value, offset=offset)


def balance(world: World) -> list[tuple[int, int, int, int]]:
    query = BalanceQuery(since=NOW, until=NOW + 1, limit=10)
    rows = Balance(world.engine).rows(ACME, query)
    return [(row.matched, row.in_flight, row.not_kept, row.difference) for row in rows]


def test_a_receipt_and_its_delivery_add_up(world: World) -> None:
    _, routed = world.delivery("e1")
    world.indexer.index([receipt(world)])
    assert balance(world) == [(1, 0, 0, 1)]
    world.indexer.index([receipt(world), routed])
    assert balance(world) == [(1, 1, 0, 0)]
    assert Balance(world.engine).indexed() == {(topics.ROUTING_RECEIPTS, 2): 8, (topics.WEBHOOK_DELIVERIES, 2): 8}


def test_a_receipt_of_a_type_that_is_not_kept_or_was_deleted(world: World) -> None:
    gone = event_topic("acme", "events", "Gone")
    world.indexer.index([receipt(world, LedgerPolicy.NONE, 1), receipt(world, offset=2, topic=gone)])
    assert balance(world) == [(2, 0, 1, 1)]


@pytest.mark.parametrize(
    "changes", [{"matched": {"hook": {"no hour": 1}}}, {"topic": "attempts"}, {"routed_at": "soon"}]
)
def test_a_receipt_that_cannot_be_read_is_set_aside(world: World, changes: dict[str, Any]) -> None:
    world.indexer.index([receipt(world, **changes)])
    assert [message.topic() for message, _ in world.set_aside] == [topics.ROUTING_RECEIPTS]


def test_only_topics_of_types_that_are_kept_whole_are_read(world: World) -> None:
    assert world.indexer.topics() == {
        topics.WEBHOOK_DELIVERIES,
        topics.WEBHOOK_REPLAYS,
        topics.DEAD_LETTER_MARKS,
        topics.FILE_DELIVERIES,
        topics.WEBSOCKET_DELIVERIES,
        topics.ATTEMPTS,
        topics.DEAD_LETTERS,
        topics.ROUTING_RECEIPTS,
        topics.REDACTIONS,
        world.kinds[LedgerPolicy.ALL].topic,
    }


def test_an_events_contracts_are_deliveries_and_its_request_is_kept(world: World) -> None:
    event = world.event("e1")
    request = ReceivedRequest(url="http://here", retry_of="d0").to_header()
    grouped = GroupedDelivery(
        event="e1",
        workspace="acme",
        source=SourceOffset(event.topic(), 2, 7),
        contracts=(Contract(1, "s1", "hook"), Contract(2, "s2", "hook")),
        routed_at=NOW + 2,
    )
    headers = [*(event.headers() or []), ("hr_request", request)]
    routed = consumed(topics.WEBHOOK_DELIVERIES, event.value(), headers + grouped.to_headers())
    tried = attempt_message(grouped.deliveries()[0], execution="sealed")
    world.indexer.index([consumed(event.topic(), event.value(), headers), routed, tried])

    assert [each.subscriptions for each in world.queries.deliveries("acme", "e1")] == [("s1",), ("s2",)]
    executions = ExecutionQueries(world.engine)
    (only,) = executions.contracts("acme", "e1")
    assert (only.contract, only.state, executions.execution(only.delivery)) == ("s1", "processed", "sealed")
    found = executions.event("acme", "events", "e1")
    assert found is not None
    assert found.request == ReceivedRequest(url="http://here", retry_of="d0")


def test_a_delivery_to_a_channel_has_arrived_when_it_is_in_its_log(world: World) -> None:
    _, routed = world.delivery("e1")
    pushed = consumed(topics.WEBSOCKET_DELIVERIES, routed.value(), routed.headers())
    published_there = consumed(topics.WEBSOCKET_DELIVERIES, b"{}", [("ce_id", b"x")])

    assert world.indexer.index([pushed, published_there]) == 1
    (only,) = world.queries.deliveries("acme", "e1")
    assert (only.outcome, only.attempts, only.tries) == (Outcome.DELIVERED, 0, ())


def test_a_delivery_to_a_file_has_arrived_when_it_is_in_one(world: World) -> None:
    delivery, routed = world.delivery("e1")
    other, _ = world.delivery("e2", LedgerPolicy.NONE)
    world.indexer.index([consumed(topics.FILE_DELIVERIES, routed.value(), routed.headers())])
    assert [each.outcome for each in world.queries.deliveries("acme", "e1")] == [None]

    settled = tuple(Settled.from_headers(dict(each.to_headers())) for each in (delivery, other))
    together = msgspec.json.encode(Settlement(Outcome.DELIVERED, NOW + 9, None, settled))
    assert world.indexer.index([consumed(topics.ATTEMPTS, together)]) == 1
    (only,) = world.queries.deliveries("acme", "e1")
    assert (only.outcome, only.attempts, only.changed_at) == (Outcome.DELIVERED, 1, NOW + 9)
    assert world.queries.deliveries("acme", "e2") == ()


def test_a_dead_letter_tells_why_its_delivery_was_given_up(world: World) -> None:
    delivery, routed = world.delivery("e1")
    headers = [
        *(routed.headers() or []),
        ("hr_dead_kind", b"delivery"),
        ("hr_dead_reason", b"Gone."),
        ("hr_dead_topic", None),
    ]
    world.indexer.index([consumed(topics.DEAD_LETTERS, routed.value(), [each for each in headers if each[1]])])
    (only,) = world.queries.deliveries("acme", delivery.event)
    assert (only.outcome, only.dead_reason) == (Outcome.DEAD, "Gone.")


def set_aside(routed: ConsumedMessage, topic: str, reason: bytes = b"Never.") -> ConsumedMessage:
    """What a connector writes of a delivery that it can do nothing with."""
    why = [("hr_dead_reason", reason), ("hr_dead_kind", b"poison"), ("hr_dead_topic", topic.encode())]
    return consumed(topics.DEAD_LETTERS, routed.value(), [*(routed.headers() or []), *why])


@pytest.mark.parametrize("topic", [topics.WEBHOOK_DELIVERIES, topics.RETRY_TIERS[5], topics.FILE_DELIVERIES])
def test_a_delivery_that_was_set_aside_without_a_try_is_dead_with_its_reason(world: World, topic: str) -> None:
    delivery, routed = world.delivery("e1")
    world.indexer.index([routed, set_aside(routed, topic)])
    (only,) = world.queries.deliveries("acme", delivery.event)
    assert (only.outcome, only.dead_reason, only.attempts) == (Outcome.DEAD, "Never.", 0)


def test_contracts_that_were_set_aside_together_are_all_dead_but_those_that_had_been_run(world: World) -> None:
    grouped = GroupedDelivery(
        event="e1",
        workspace="acme",
        source=SourceOffset(world.kinds[LedgerPolicy.ALL].topic, 2, 7),
        contracts=(Contract(1, "s1", "hook"), Contract(2, "s2", "hook")),
        routed_at=NOW + 2,
    )
    routed = consumed(topics.WEBHOOK_DELIVERIES, b"?", grouped.to_headers())
    tried = attempt_message(grouped.deliveries()[0])
    world.indexer.index([routed, set_aside(routed, topics.WEBHOOK_DELIVERIES), tried])
    found = {each.subscriptions: each.outcome for each in world.queries.deliveries("acme", "e1")}
    assert found == {("s1",): Outcome.DELIVERED, ("s2",): Outcome.DEAD}
    contracts = ExecutionQueries(world.engine).contracts("acme", "e1")
    states = {each.contract: (each.state, each.error) for each in contracts}
    assert states == {"s1": ("processed", None), "s2": ("error", "Never.")}


def test_an_event_that_was_set_aside_is_no_delivery_whatever_its_headers_say(world: World) -> None:
    _, routed = world.delivery("e1")
    assert world.indexer.index([set_aside(routed, world.kinds[LedgerPolicy.ALL].topic)]) == 1
    assert world.queries.event(ACME, "e1") is None
    (letter,), _ = LetterQueries(world.engine).page(ACME, LetterQuery(), limit=10, cursor=None)
    assert (letter.kind, letter.endpoint, letter.delivery) == ("poison", None, None)


def test_tombstones_and_records_of_deleted_types_are_passed_over(world: World) -> None:
    kind = world.kinds[LedgerPolicy.ALL]
    event = world.event("e1")
    world.view.remove(kind.key)
    assert world.indexer.index([event, consumed(kind.topic, None)]) == 0
    assert world.set_aside == []


def test_poison_of_events_and_attempts_is_set_aside_and_the_rest_indexed(world: World) -> None:
    delivery, _ = world.delivery("e1")
    poison = [
        consumed(world.kinds[LedgerPolicy.ALL].topic, b"junk"),
        consumed(world.kinds[LedgerPolicy.ALL].topic, b"\x00\x00\x00\x00\x01\xff"),
        consumed(topics.ATTEMPTS, b"{"),
        consumed(topics.ATTEMPTS, b"[{}]"),
        consumed(topics.ATTEMPTS, b'["delivered",1,null,[["d","e","h","acme","no source","live",0]]]'),
        consumed(topics.ATTEMPTS, b'{"id": "x"}'),
        consumed(topics.ATTEMPTS, b"\xff"),
        consumed(topics.ATTEMPTS, None),
        attempt_message(delivery, id="x" * 513),
    ]
    assert world.indexer.index([*poison, world.event("e1")]) == 1
    assert [message for message, _ in world.set_aside] == poison
    assert all(reason for _, reason in world.set_aside)


def test_a_record_that_our_own_code_cannot_handle_is_set_aside_and_the_rest_indexed(world: World) -> None:
    def decode(value: bytes) -> DecodedEvent:
        if value == b"odd":
            raise OverflowError("nobody thought of this")
        return DECODER.decode(value)

    odd = consumed(world.kinds[LedgerPolicy.ALL].topic, b"odd")
    indexer = world.indexer_with(world.writer, decode)
    assert indexer.index([odd, world.event("e1")]) == 1
    assert [message for message, _ in world.set_aside] == [odd]


def test_poison_that_others_set_aside_is_only_passed_over(world: World) -> None:
    poison = [
        consumed(topics.WEBHOOK_DELIVERIES, b"junk", [("hr_delivery", b"x")]),
        consumed(topics.WEBHOOK_DELIVERIES, b"junk"),
        consumed(topics.WEBHOOK_DELIVERIES, b"junk", [("hr_groups", b"x")]),
        consumed(topics.WEBHOOK_DELIVERIES, b"junk", [("hr_groups", None)]),
        consumed(topics.WEBHOOK_DELIVERIES, b"junk", [("hr_groups", b'[[0,"s","e"]]'), ("hr_event", None)]),
        consumed(topics.FILE_DELIVERIES, b"junk"),
        consumed(topics.WEBSOCKET_DELIVERIES, b"junk", [("hr_delivery", b"x")]),
        consumed(topics.DEAD_LETTERS, b"junk", [("hr_dead_kind", b"delivery")]),
        consumed(topics.DEAD_LETTERS, b"junk", [("hr_dead_kind", b"poison"), ("ce_id", None)]),
        consumed(topics.DEAD_LETTERS, None, None),
    ]
    letters = 3
    assert world.indexer.index([*poison, world.event("e1")]) == 1 + letters
    assert world.set_aside == []


def test_a_row_that_the_database_refuses_does_not_hold_up_the_others(world: World) -> None:
    delivery, routed = world.delivery("e1")
    too_large = attempt_message(delivery, status=2**63)
    assert world.indexer.index([world.event("e1"), too_large, routed]) == 2
    assert [message for message, _ in world.set_aside] == [too_large]
    assert world.queries.event(ACME, "e1") is not None


class DeadDatabase:
    """A database that cannot take anything now."""

    def write(self, rows: LedgerRows) -> None:
        del rows
        raise Unavailable("gone")


def test_a_database_that_is_gone_sets_nothing_aside(world: World) -> None:
    indexer = world.indexer_with(DeadDatabase())
    with pytest.raises(Unavailable):
        indexer.index([world.event("e1")])
    assert world.set_aside == []
