"""A connector process: built, run until it is told to stop, taken down in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
from typing import TYPE_CHECKING

import uvloop

from backbone import logs
from backbone.catalog.reader import Catalog
from backbone.catalog.secrets import SecretBox
from backbone.health import Health
from backbone.idempotency import IdempotencyLog
from backbone.kafka.admin import Admin
from backbone.kafka.producer import Producer
from backbone.kafka.topology import ensure_internal_topics
from backbone.private_directory import close_directory
from backbone.publisher import Publisher
from backbone.slots import claimed_slot
from backbone.startup import persist
from backbone.stop_limit import StopLimit
from connectors import file_main
from connectors.authorization import Authorizer
from connectors.calls import Calls
from connectors.destinations import DestinationGuard
from connectors.endpoint_states import EndpointStates
from connectors.exposition import expose
from connectors.http_client import HttpClient
from connectors.metrics import WebhookMetrics
from connectors.outcomes import Outcomes
from connectors.rendering import Renderer
from connectors.replies import Replies
from connectors.retries import Hopper
from connectors.webhook import WebhookConnector
from connectors.websocket.main import serve_realtime
from connectors.worker import Worker
from schemas import topics
from schemas.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.settings import ConnectorSettings


KINDS = ("webhook", "websocket", "file")

GROUP = "headrace-webhook"


def run(kind: str, settings: ConnectorSettings) -> None:
    """Run one connector until SIGTERM or SIGINT.

    Raises:
        Misconfigured: there is no connector of this kind, or a setting cannot be used.
    """
    if kind not in KINDS:
        raise Misconfigured(f"there is no connector {kind!r}; there is {', '.join(KINDS)}")
    logs.start(f"connector-{kind}", settings.log_level)
    close_directory(settings.backbone.data_dir)
    if kind == "file":
        file_main.run(settings)
        return
    _raise_file_limit()
    uvloop.run(_run_until_signal(kind, settings))


async def _run_until_signal(kind: str, settings: ConnectorSettings) -> None:
    stopping, limit = asyncio.Event(), StopLimit(more=settings.webhook.drain)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        limit.begin()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    health = Health(settings.kafka)
    expose(settings, health)
    if kind == "websocket":
        await serve_realtime(settings, stopping, lambda _port: health.ready(), unready=health.reason)
    else:
        await serve_webhooks(settings, stopping, health.ready)


async def serve_webhooks(
    settings: ConnectorSettings,
    stopping: asyncio.Event,
    on_ready: Callable[[], None],
    metrics: WebhookMetrics | None = None,
) -> None:
    """Deliver webhooks and move retries until ``stopping`` is set.

    Args:
        settings: of this process.
        stopping: ends it.
        on_ready: called once it can deliver.
        metrics: counters to use; by default those of the process.

    Raises:
        Misconfigured: a network that is none is allowed, or the wanted slot is held by another process.
    """
    guard = DestinationGuard(settings.webhook.allow)
    secrets = SecretBox(settings.backbone.secret_keys)
    metrics = metrics or WebhookMetrics()
    async with contextlib.AsyncExitStack() as stack:
        slot = stack.enter_context(claimed_slot(settings.backbone.data_dir, "webhook", settings.slot))
        catalog = Catalog(
            settings.kafka,
            settings.backbone.secret_keys,
            on_forged=metrics.catalog_forged.inc,
            on_stall=metrics.consumers_replaced.inc,
        )
        states = EndpointStates(settings.kafka, metrics.consumers_replaced.inc)
        if not await _prepare(settings, stopping, catalog, states, stack):
            return
        producer = Producer(settings.kafka)
        await producer.start()
        stack.push_async_callback(producer.stop)
        client = HttpClient(guard, body_limit=settings.webhook.body_limit)
        await client.start()
        stack.push_async_callback(client.close)
        renderer = Renderer(catalog, secrets)
        authorizer = Authorizer(client=client, secrets=secrets, states=states, producer=producer)
        # Replies carry no idempotency key, so nobody need read those that others used.
        publisher = Publisher(catalog, producer, IdempotencyLog(settings.kafka, producer))
        connector = WebhookConnector(
            catalog=catalog,
            states=states,
            renderer=renderer,
            authorizer=authorizer,
            calls=Calls(
                renderer=renderer,
                authorizer=authorizer,
                client=client,
                secrets=secrets,
                replies=Replies(catalog, publisher),
                metrics=metrics,
            ),
            outcomes=Outcomes(states=states, producer=producer, metrics=metrics, settings=settings.webhook),
            metrics=metrics,
            settings=settings.webhook,
        )
        stack.push_async_callback(connector.close)
        hopper = Hopper(
            settings.kafka,
            transactional_id=f"headrace-hopper-{settings.backbone.node_id}-{slot}",
            metrics=metrics,
        )
        hopper.start()
        stack.push_async_callback(asyncio.to_thread, hopper.stop)
        worker = Worker(
            settings.kafka,
            topic=topics.WEBHOOK_DELIVERIES,
            group=GROUP,
            handler=connector,
            max_pending=settings.webhook.max_pending,
            max_bytes=settings.webhook.max_pending_bytes,
            drain=settings.webhook.drain,
            on_stall=metrics.consumers_replaced.inc,
        )
        await worker.run(stopping, on_ready)


async def _prepare(
    settings: ConnectorSettings,
    stopping: asyncio.Event,
    catalog: Catalog,
    states: EndpointStates,
    stack: contextlib.AsyncExitStack,
) -> bool:
    """Topics exist and the views are up to date; False when it was stopped before Kafka answered."""
    if not await persist(stopping, lambda: ensure_internal_topics(Admin(settings.kafka))):
        return False
    catalog.start()
    stack.push_async_callback(asyncio.to_thread, catalog.stop)
    states.start()
    stack.push_async_callback(asyncio.to_thread, states.stop)
    return await persist(stopping, catalog.caught_up) and await persist(stopping, states.caught_up)


def _raise_file_limit() -> None:
    """Every request under way, and every client, is an open socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
