from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backbone.catalog.writer import Changes
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.records import Record
from backbone.ledger.balance import Balance, BalanceQuery
from backbone.ledger.balance_tables import HOUR
from backbone.ledger.queries import LedgerQueries
from backbone.ledger.rows import EventRow, LedgerRows
from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from processes.ledger_rebuild import fill, rebuilding
from schemas.model import timestamps, topics
from schemas.model.access import Workspace
from schemas.model.errors import Misconfigured
from schemas.model.ids import new_id
from schemas.security.reading import ReadScope
from stream_processors.settings import ProcessorSettings
from tests.component.stream_processors.installation import wait_until
from tests.support.running_gateway import SECRET_KEYS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from schemas.model.endpoint import Endpoint
    from schemas.model.event_type import EventType
    from stream_processors.indexing.rebuild import Loss
    from tests.component.stream_processors.installation import Installation


class Orders:
    """An event type with one subscriber, and the ledger's view of its events."""

    def __init__(self, installation: Installation, event_type: EventType, endpoint: Endpoint) -> None:
        self.type = event_type
        self.endpoint = endpoint
        self.url = f"sqlite:///{installation.directory / 'ledger.sqlite3'}"
        self.environment = {"HEADRACE_LEDGER_URL": self.url}
        self._workspace = installation.workspace
        self._engine = open_ledger(self.url)
        self._queries = LedgerQueries(self._engine)

    def delivered_to(self, event_id: str) -> list[str]:
        """Return the endpoints of the event's deliveries that the ledger knows; empty without the event."""
        if self._queries.event(ReadScope(workspace=self._workspace), event_id) is None:
            return []
        return [delivery.endpoint for delivery in self._queries.deliveries(self._workspace, event_id)]

    async def indexed(self, *event_ids: str) -> None:
        """Wait until the ledger has these events and their deliveries."""

        def are_there() -> bool:
            return all(self.delivered_to(event_id) == [self.endpoint.id] for event_id in event_ids)

        await asyncio.to_thread(wait_until, are_there, 120, f"{event_ids} and their deliveries are in the ledger")

    def keep(self, event_id: str) -> None:
        """Write an event that Kafka does not have."""
        row = EventRow(
            workspace=self._workspace,
            id=event_id,
            topic=self.type.topic,
            source_offset=f"{self.type.topic}/0/0",
            namespace="events",
            code="Order",
            source="client",
            subject=None,
            time=1,
            received_at=1,
            channel=None,
            identifiers="[]",
            data="1",
            producer_id=None,
        )
        LedgerWriter(self._engine).write(LedgerRows(events=[row]))

    def has(self, event_id: str) -> bool:
        """Return whether the ledger has an event."""
        return self._queries.event(ReadScope(workspace=self._workspace), event_id) is not None

    def balance(self) -> tuple[int, int]:
        """Return how many deliveries were matched in the last hours, and the difference to those that are here."""
        now = timestamps.now()
        query = BalanceQuery(since=now - 2 * HOUR, until=now, limit=10)
        rows = Balance(self._engine).rows(ReadScope(workspace=self._workspace), query)
        return sum(row.matched for row in rows), sum(abs(row.difference) for row in rows)

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture
async def orders(installation: Installation) -> AsyncIterator[Orders]:
    workspace = Workspace(
        id=new_id(), name=installation.workspace, created_at=timestamps.now(), updated_at=timestamps.now()
    )
    await installation.writer.write(lambda _: Changes(result=None, put=[workspace]))
    event_type = await installation.event_type("Order", partitions=1)
    endpoint = await installation.endpoint("all")
    await installation.link(await installation.event_filter("Order"), endpoint)
    await asyncio.to_thread(_begin_now, installation)
    made = Orders(installation, event_type, endpoint)
    yield made
    made.close()


async def test_one_process_does_both_and_poison_does_not_stop_it(installation: Installation, orders: Orders) -> None:
    """``headrace processors``, as installations from before the two were apart start it."""
    topic = orders.type.topic
    await installation.producer.send([Record(topic, b"not an event", partition=0)])
    await installation.publish(orders.type, "event-1", data='{"price": 5}')
    (poison,) = await installation.producer.send([Record(topics.ATTEMPTS, b"not an attempt", partition=0)])

    with installation.worker(0, command="processors", **orders.environment) as worker:
        await orders.indexed("event-1")
        await asyncio.to_thread(
            wait_until, lambda: installation.dead_letters(topic) != [], 120, "the poison is set aside"
        )
        place = str(poison.offset).encode()
        await asyncio.to_thread(
            wait_until,
            lambda: any(each["hr_dead_offset"] == place for each in installation.dead_letters(topics.ATTEMPTS)),
            120,
            "the poison attempt is set aside",
        )
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log

    assert {each["hr_dead_offset"] for each in installation.dead_letters(topic)} == {b"0"}


async def test_the_router_routes_while_the_ledger_is_away_which_then_catches_up(
    installation: Installation, orders: Orders
) -> None:
    endpoints = {orders.endpoint.id}
    with (
        installation.worker(0, **orders.environment) as router,
        installation.worker(0, command="ledger", **orders.environment) as ledger,
    ):
        await installation.publish(orders.type, "before")
        await orders.indexed("before")

        ledger.pause()
        await installation.publish(orders.type, "paused")
        await asyncio.to_thread(installation.wait_for_deliveries, endpoints, 2)
        assert orders.delivered_to("paused") == []

        ledger.end()
        await installation.publish(orders.type, "killed")
        await asyncio.to_thread(installation.wait_for_deliveries, endpoints, 3)
        assert orders.delivered_to("killed") == []

        await asyncio.to_thread(ledger.start)
        await orders.indexed("before", "paused", "killed")
        await asyncio.to_thread(wait_until, lambda: orders.balance() == (3, 0), 120, "the receipts are in the ledger")
        assert await asyncio.to_thread(router.terminate) == 0, router.log
        assert await asyncio.to_thread(ledger.terminate) == 0, ledger.log
    assert [delivery.event for delivery in installation.deliveries(endpoints)] == ["before", "paused", "killed"]


async def test_the_ledger_indexes_while_no_router_runs(installation: Installation, orders: Orders) -> None:
    with installation.worker(0, **orders.environment) as router:
        await installation.publish(orders.type, "routed")
        await asyncio.to_thread(installation.wait_for_deliveries, {orders.endpoint.id}, 1)
        router.end()
    with installation.worker(0, command="ledger", **orders.environment):
        await orders.indexed("routed")


async def test_a_rebuild_fills_the_ledger_from_kafka_and_its_agents_go_on(
    installation: Installation, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "KAFKA_BOOTSTRAP_SERVERS": installation.settings.bootstrap_servers,
        "HEADRACE_DATA_DIR": str(installation.directory),
        "HEADRACE_SECRET_KEYS": SECRET_KEYS,
        "HEADRACE_PROCESSORS_LEDGER_GROUP": f"ledger-{installation.workspace}",
        **orders.environment,
    }.items():
        monkeypatch.setenv(name, value)
    settings = ProcessorSettings()
    steps: list[tuple[int, int]] = []

    def rebuilt(*, fills: int) -> list[Loss]:
        with rebuilding(settings) as rebuild:
            losses = rebuild.losses()
            for _ in range(fills):
                fill(settings, rebuild, lambda read, total: steps.append((read, total)))
        return losses

    with installation.worker(0, **orders.environment) as router:
        with installation.worker(0, command="ledger", **orders.environment) as ledger:
            await installation.publish(orders.type, "first")
            await orders.indexed("first")
            with pytest.raises(Misconfigured, match="stop every"):
                await asyncio.to_thread(rebuilt, fills=1)
            assert await asyncio.to_thread(ledger.terminate) == 0, ledger.log
        orders.keep("expired")
        losses = await asyncio.to_thread(rebuilt, fills=0)
        assert {each.what: each.rows > 0 for each in losses}["events"]
        assert orders.has("expired")

        await asyncio.to_thread(rebuilt, fills=2)
        assert steps[-1][0] >= steps[-1][1] > 0
        assert not orders.has("expired")
        assert orders.delivered_to("first") == [orders.endpoint.id]

        await installation.publish(orders.type, "second")
        with installation.worker(0, command="ledger", **orders.environment):
            await orders.indexed("first", "second")
        router.end()


def _begin_now(installation: Installation) -> None:
    """Have the ledger's group begin where the test did: other tests' records are of no interest."""
    consumer = BatchConsumer(installation.settings, group=f"ledger-{installation.workspace}")
    partitions = consumer.partitions_of(
        [topics.WEBHOOK_DELIVERIES, topics.ATTEMPTS, topics.DEAD_LETTERS, topics.ROUTING_RECEIPTS]
    )
    consumer.commit(consumer.end_offsets(partitions) | installation.logs.began)
    consumer.close()
