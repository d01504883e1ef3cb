"""The webhook connector while an endpoint's circuit breaker is open: test sends, and edits that mend it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
from prometheus_client import CollectorRegistry

from backbone.kafka.settings import KafkaSettings
from connectors.shared.offsets import PartitionProgress
from connectors.webhook.connector import WebhookConnector
from connectors.webhook.endpoint_queue import TRIP_AFTER
from connectors.webhook.endpoint_states import EndpointStates
from connectors.webhook.health import HealthBook
from connectors.webhook.metrics import WebhookMetrics
from connectors.webhook.settings import WebhookSettings
from connectors.webhook.transport import Response
from schemas.model import timestamps, topics
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.endpoint_health import EndpointHealth
from schemas.model.ids import LIVE, TEST
from tests.support.consumed_messages import ConsumedMessage
from tests.unit.connectors.webhook.test_outcomes import World

if TYPE_CHECKING:
    from collections.abc import Callable

HOOK = Endpoint(
    id="hook",
    workspace="acme",
    name="hook",
    type=EndpointType.WEB_HOOK,
    max_in_flight=TRIP_AFTER,
    retry_schedule=(),
    created_at=1,
    updated_at=1,
)
TIERS = set(topics.RETRY_TIERS.values())


class Office:
    """A connector with one endpoint, which answers ``status`` once ``answers`` is set."""

    def __init__(self, *, open_for: float = 0.0) -> None:
        self.endpoint = HOOK
        self.status = 200
        self.answers = asyncio.Event()
        self.answers.set()
        self.sent = 0
        self._offset = 0
        self.states = EndpointStates(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
        if open_for:
            until = timestamps.now() // 1_000 + int(open_for * 1_000)
            self.states.keep_health(HOOK.id, EndpointHealth(closed_until=until), edited_at=1, now=1)
        self.health = HealthBook(self.states, WebhookSettings())
        self.world = World(states=self.states)
        view = SimpleNamespace(endpoint=lambda _: self.endpoint)
        parts: dict[str, Any] = {"renderer": None, "calls": None, "authorizer": self}
        self.connector = WebhookConnector(
            catalog=SimpleNamespace(view=view),  # type: ignore[arg-type]
            states=self.states,
            outcomes=self.world.outcomes,
            health=self.health,
            metrics=WebhookMetrics(CollectorRegistry()),
            settings=WebhookSettings(),
            **parts,
        )

    async def send(self, _make: object, _endpoint: Endpoint, _timeout: float) -> Response:
        """Be the ``Authorizer``."""
        self.sent += 1
        await self.answers.wait()
        return Response(status=self.status, duration=0.0)

    def deliver(self, run: str) -> None:
        self._offset += 1
        delivery = Delivery(
            id=f"d{self._offset}",
            event=f"e{self._offset}",
            endpoint=HOOK.id,
            workspace="acme",
            source=SourceOffset("events.acme.shop.order", 0, self._offset),
            subscriptions=(),
            run=run,
            routed_at=timestamps.now(),
        )
        message: Any = ConsumedMessage(topics.WEBHOOK_DELIVERIES, b"event", delivery.to_headers())
        self.connector.accept(message, delivery.to_headers(), PartitionProgress())

    def written(self) -> list[str]:
        return [record.topic for record in self.world.written]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that the event loop makes true."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0)


async def test_a_test_send_passes_an_open_breaker_and_makes_it_half_open_once_it_succeeds() -> None:
    office = Office(open_for=300.0)
    office.status = 500

    office.deliver(LIVE)
    office.deliver(f"{TEST}1")
    await until(lambda: len(office.written()) == 2)
    assert office.sent == 1
    assert set(office.written()) & TIERS
    assert office.states.health(HOOK).closed_until

    office.status = 204
    office.deliver(f"{TEST}2")
    await until(lambda: len(office.written()) == 3)
    (told,) = office.health.due(timestamps.now())
    assert b'"closed_until"' in (told.value or b"")
    assert (office.states.health(HOOK).closed_until or 0) * 1_000 <= timestamps.now()
    office.deliver(LIVE)
    await until(lambda: office.sent == 3)


async def test_what_waits_in_memory_goes_out_once_the_endpoint_is_edited() -> None:
    office = Office()
    office.answers.clear()
    for _ in range(2 * TRIP_AFTER):
        office.deliver(LIVE)
    await until(lambda: office.sent > 0)
    office.status = 500
    office.answers.set()
    await until(lambda: office.written().count(topics.DEAD_LETTERS) == TRIP_AFTER)

    office.status = 204
    office.connector.tick()
    assert office.sent == TRIP_AFTER
    office.endpoint = msgspec.structs.replace(HOOK, updated_at=timestamps.now())
    office.connector.tick()
    await until(lambda: office.sent == 2 * TRIP_AFTER)
    assert not set(office.written()) & TIERS
