"""Groups on a worker that loses its partition, and what the connector tests cannot bring about."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from backbone.catalog.view import CatalogView
from backbone.kafka.records import Ack
from connectors.shared.offsets import PartitionProgress
from connectors.webhook.endpoint_queue import FIRST_WINDOW, HOLD
from connectors.webhook.health import HealthBook
from connectors.webhook.in_flight import InFlight
from connectors.webhook.metrics import WebhookMetrics
from connectors.webhook.ordered.deliveries import OrderedDeliveries
from connectors.webhook.outcomes import OrderedJob, Outcomes
from connectors.webhook.settings import WebhookSettings
from connectors.webhook.stall_clock import StallClock
from connectors.webhook.transport import Response
from schemas.model import timestamps, topics
from schemas.model.delivery import Attempt, Contract, GroupedDelivery, Outcome, SourceOffset, read_delivery
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import CorruptRecord, Unavailable
from tests.support.consumed_messages import ConsumedMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.records import Record
    from schemas.model.delivery import Delivery

OFFSET = 7
MESSAGE: Any = ConsumedMessage(topics.WEBHOOK_DELIVERIES, b"event", [("ce_id", b"e1")], offset=OFFSET)


class FakeCatalog:
    def __init__(self) -> None:
        self.view = CatalogView()
        self.refusals = 0

    async def caught_up(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("not now")


class World:
    """The groups of one partition, what was called, and what was written."""

    def __init__(self) -> None:
        self.catalog = FakeCatalog()
        for name in ("a", "b", "c"):
            made = Endpoint(id=name, workspace="w", name=name, type=EndpointType.WEB_HOOK, created_at=0, updated_at=0)
            self.catalog.view.put(made, 0)
        self.called: list[str] = []
        self.answers: dict[str, Response | Exception] = {}
        self.written: list[Record] = []
        self.progress = PartitionProgress()
        self.progress.start(OFFSET)
        self.tasks = InFlight()
        self.proceed = asyncio.Event()
        self.proceed.set()
        outcomes = Outcomes(
            states=self,  # type: ignore[arg-type]
            health=HealthBook(self, WebhookSettings()),  # type: ignore[arg-type]
            producer=self,  # type: ignore[arg-type]
            metrics=WebhookMetrics(CollectorRegistry()),
            settings=WebhookSettings(),
        )
        self.groups = OrderedDeliveries(
            catalog=self.catalog,  # type: ignore[arg-type]
            states=self,  # type: ignore[arg-type]
            calls=self,  # type: ignore[arg-type]
            outcomes=outcomes,
            in_flight=self.tasks,
            clock=StallClock(),
        )

    def disabled_reason(self, endpoint: Endpoint) -> str | None:
        return None if endpoint.enabled else "it is disabled"

    async def send(self, records: Sequence[Record], *, final: bool) -> list[Ack]:
        assert final, "sent again, it would be written twice"
        await asyncio.sleep(0)
        self.written += records
        return [Ack(0, 0)] * len(records)

    async def make(self, _value: Any, _headers: Any, delivery: Delivery, *_: Any) -> Response:
        self.called.append(delivery.endpoint)
        await self.proceed.wait()
        answer = self.answers.get(delivery.endpoint, Response(status=200, duration=0.1))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def accept(self, *orders: int, routed_at: int | None = None) -> GroupedDelivery:
        contracts = tuple(Contract(order, f"s-{name}", name) for order, name in zip(orders, "abc", strict=False))
        grouped = GroupedDelivery(
            event="e1",
            workspace="w",
            source=SourceOffset("events.w.n.c", 0, 1),
            contracts=contracts,
            routed_at=timestamps.now() if routed_at is None else routed_at,
        )
        headers = [("ce_id", b"e1"), *grouped.to_headers()]
        self.groups.accept(OrderedJob(message=MESSAGE, headers=headers, delivery=grouped, progress=self.progress))  # type: ignore[arg-type]
        return grouped

    async def ended(self) -> None:
        while self.tasks:
            await self.tasks.drain([self.progress], 10)

    def attempts(self) -> dict[str, Outcome]:
        found = [
            msgspec.json.decode(each.value or b"", type=Attempt)
            for each in self.written
            if each.topic == topics.ATTEMPTS
        ]
        return {each.endpoint: each.outcome for each in found}


async def test_an_offset_is_finished_when_every_attempt_is_written() -> None:
    world = World()
    world.answers["b"] = Response(status=500, duration=0.1)

    world.accept(1, 1, 2)
    await world.ended()

    assert world.called == ["a", "b", "c"]
    assert world.attempts() == {"a": Outcome.DELIVERED, "b": Outcome.DEAD, "c": Outcome.DELIVERED}
    assert world.progress.unfinished == 0


async def test_a_worker_that_is_about_to_lose_its_partition_hands_the_other_groups_on() -> None:
    world = World()
    world.proceed.clear()
    grouped = world.accept(1, 2, 2)
    await asyncio.sleep(0)
    world.progress.closing = True
    world.proceed.set()
    await world.ended()

    assert world.called == ["a"]
    assert world.attempts() == {"a": Outcome.DELIVERED}
    rest = world.written[-1]
    assert (rest.topic, rest.key, rest.value) == (topics.WEBHOOK_DELIVERIES, b"e1", b"event")
    assert read_delivery(rest.headers or []) == msgspec.structs.replace(grouped, contracts=grouped.contracts[1:])
    assert world.progress.unfinished == 0


async def test_a_worker_that_has_lost_its_partition_leaves_all_to_the_next() -> None:
    world = World()
    world.answers["a"] = Response(error="no answer", duration=0.1)
    world.proceed.clear()
    world.accept(1, 2)
    await asyncio.sleep(0)
    world.progress.closing = world.progress.revoked = True
    world.proceed.set()
    await world.ended()

    assert world.called == ["a"]
    assert world.written == []
    assert world.progress.unfinished == 1


async def test_what_queues_is_handed_on_with_its_partition() -> None:
    world = World()
    world.proceed.clear()
    grouped = [world.accept(1) for _ in range(FIRST_WINDOW + 2)]
    assert world.groups.queued == 2

    world.groups.hand_on([world.progress])
    world.proceed.set()
    await world.ended()

    assert world.groups.queued == 0
    written = [each for each in world.written if each.topic == topics.WEBHOOK_DELIVERIES]
    assert [(each.key, each.value) for each in written] == [(b"e1", b"event")] * 2
    assert [read_delivery(each.headers or []) for each in written] == grouped[-2:]


async def test_what_has_queued_for_long_is_put_off() -> None:
    world = World()
    world.proceed.clear()
    for _ in range(2 * FIRST_WINDOW + 2):
        world.accept(1)
    world.groups.tick(time.monotonic() + 2 * HOLD)
    world.proceed.set()
    await world.ended()

    waiting = [each for each in world.written if each.topic in topics.RETRY_TIERS.values()]
    assert [each.key for each in waiting] == [b"e1", b"e1"]
    assert all(dict(each.headers or []).get("due") for each in waiting)


async def test_what_could_not_be_tried_for_too_long_is_dead() -> None:
    world = World()
    world.proceed.clear()
    for _ in range(2 * FIRST_WINDOW + 1):
        world.accept(1, 1, routed_at=0)
    world.groups.tick(time.monotonic() + 2 * HOLD)
    world.proceed.set()
    await world.ended()

    letters = [each for each in world.written if each.topic == topics.DEAD_LETTERS]
    assert [each.key for each in letters] == [b"a", b"b"]
    assert dict(letters[0].headers or [])["hr_subscriptions"] == b"s-a"


@pytest.mark.parametrize(
    ("enabled", "reason"), [(None, "the endpoint was deleted"), (False, "it is disabled"), (True, None)]
)
async def test_an_endpoint_is_looked_for_again_before_it_counts_as_gone(
    *, enabled: bool | None, reason: str | None
) -> None:
    world = World()
    endpoint = world.catalog.view.endpoint("a")
    assert endpoint is not None
    world.catalog.view.remove(endpoint.key)
    if enabled is not None:
        world.catalog.view.put(msgspec.structs.replace(endpoint, enabled=enabled), 0)

    world.accept(1, 2)
    await world.ended()

    assert world.attempts() == {"a": Outcome.DELIVERED if reason is None else Outcome.CANCELLED, "b": Outcome.DELIVERED}
    assert (reason or "").encode() in b"".join(each.value or b"" for each in world.written)


async def test_an_event_that_cannot_be_read_is_set_aside() -> None:
    world = World()
    world.answers["a"] = CorruptRecord("junk")
    world.answers["b"] = CorruptRecord("junk")

    world.accept(1, 1, 2)
    await world.ended()

    (letter,) = world.written
    assert (letter.topic, dict(letter.headers or [])["hr_dead_reason"]) == (topics.DEAD_LETTERS, b"junk")
    assert world.progress.unfinished == 0
