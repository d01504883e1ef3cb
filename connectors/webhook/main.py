"""The webhook connector: built, run until it is told to stop, taken down in reverse."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from backbone.catalog.reader import Catalog
from backbone.catalog.secrets import SecretBox
from backbone.kafka.admin import Admin
from backbone.kafka.producer import Producer
from backbone.kafka.retrying import retry_unless
from backbone.kafka.topology import ensure_internal_topics
from backbone.process.instance_slots import claimed_slot
from backbone.publishing.idempotency import IdempotencyLog
from backbone.publishing.publisher import Publisher
from connectors.shared.worker import Worker
from connectors.webhook.aiohttp_client import AiohttpClient
from connectors.webhook.authorization import Authorizer
from connectors.webhook.connector import WebhookConnector
from connectors.webhook.destination_guard import DestinationGuard
from connectors.webhook.egress_proxy import EgressProxy
from connectors.webhook.endpoint_states import EndpointStates
from connectors.webhook.health import HealthBook
from connectors.webhook.health_reporter import report_health
from connectors.webhook.http_client import HttpClient
from connectors.webhook.https_only import HttpsOnly
from connectors.webhook.operational_publisher import OperationalPublisher, publish_raised
from connectors.webhook.ordered.calls import Calls
from connectors.webhook.ordered.replies import Replies
from connectors.webhook.outcomes import Outcomes
from connectors.webhook.rendering import Renderer
from connectors.webhook.replays import ReplayWorker
from connectors.webhook.retry_scheduler import RetryScheduler
from connectors.webhook.traced_transport import TracedTransport
from schemas.model import topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.settings import KafkaSettings
    from backbone.process.settings import BackboneSettings
    from backbone.tracing.spans import Tracing
    from connectors.shared.body import Bodies
    from connectors.webhook.metrics import WebhookMetrics
    from connectors.webhook.settings import WebhookSettings
    from connectors.webhook.transport import Transport

GROUP = "headrace-webhook"


async def serve_webhooks(
    stopping: asyncio.Event,
    on_ready: Callable[[], None],
    *,
    kafka: KafkaSettings,
    backbone: BackboneSettings,
    webhook: WebhookSettings,
    slot: int | None,
    bodies: Bodies,
    metrics: WebhookMetrics,
    tracing: Tracing | None,
) -> None:
    """Deliver webhooks and move retries until ``stopping`` is set.

    Args:
        stopping: ends it.
        on_ready: called once it can deliver.
        kafka: how to reach Kafka.
        backbone: the secret keys and the data directory.
        webhook: timeouts and bounds.
        slot: the wanted slot, which is part of the transactional id; None takes the first free one.
        bodies: the formats that endpoints may ask for.
        metrics: counters to use.
        tracing: makes the spans of requests; None makes none.

    Raises:
        Misconfigured: an allowed network or the proxy is none, or another process holds the wanted slot.
    """
    guard = DestinationGuard(webhook.allow)
    proxy = EgressProxy.parse(webhook.proxy.get_secret_value())
    secrets = SecretBox(backbone.secret_keys)
    async with contextlib.AsyncExitStack() as stack:
        held = stack.enter_context(claimed_slot(backbone.data_dir, "webhook", slot))
        catalog = Catalog(
            kafka,
            backbone.secret_keys,
            on_forged=metrics.catalog_forged.inc,
            on_stall=metrics.consumers_replaced.inc,
        )
        states = EndpointStates(kafka, metrics.consumers_replaced.inc)
        if not await _prepare(kafka, stopping, catalog, states, stack):
            return
        producer = Producer(kafka)
        await producer.start()
        stack.push_async_callback(producer.stop)
        limit = webhook.body_limit
        client = (
            HttpClient(guard, body_limit=limit)
            if proxy is None
            else AiohttpClient(guard, body_limit=limit, proxy=proxy)
        )
        await client.start()
        stack.push_async_callback(client.close)
        transport = transport_over(client, webhook, tracing)
        renderer = Renderer(catalog, secrets, bodies, tracing=tracing)
        authorizer = Authorizer(transport=transport, secrets=secrets, states=states, producer=producer)
        # Replies carry no idempotency key, so nobody need read those that others used.
        publisher = Publisher(catalog, producer, IdempotencyLog(kafka, producer))
        health = HealthBook(states, webhook)
        reporting = asyncio.create_task(report_health(health, states, catalog, producer))
        stack.callback(reporting.cancel)
        operational = _operational(kafka, catalog, producer, metrics)
        stack.push_async_callback(asyncio.to_thread, operational.stop)
        publishing = asyncio.create_task(publish_raised(states, operational, producer))
        stack.callback(publishing.cancel)
        connector = WebhookConnector(
            catalog=catalog,
            states=states,
            renderer=renderer,
            authorizer=authorizer,
            calls=Calls(
                renderer=renderer,
                authorizer=authorizer,
                transport=transport,
                secrets=secrets,
                replies=Replies(catalog, publisher),
                metrics=metrics,
            ),
            outcomes=Outcomes(
                states=states,
                producer=producer,
                metrics=metrics,
                settings=webhook,
                health=health,
                operational=operational,
            ),
            health=health,
            metrics=metrics,
            settings=webhook,
        )
        stack.push_async_callback(connector.close)
        scheduler = RetryScheduler(
            kafka, transactional_id=f"headrace-hopper-{backbone.node_id}-{held}", metrics=metrics
        )
        scheduler.start()
        stack.push_async_callback(asyncio.to_thread, scheduler.stop)
        bounds: dict[str, Any] = {
            "handler": connector,
            "max_pending": webhook.max_pending,
            "max_bytes": webhook.max_pending_bytes,
            "drain": webhook.drain,
            "on_stall": metrics.consumers_replaced.inc,
        }
        replays = ReplayWorker(kafka, **bounds)
        worker = Worker(
            kafka,
            topic=topics.WEBHOOK_DELIVERIES,
            group=GROUP,
            companion=replays,
            **bounds,
        )
        async with asyncio.TaskGroup() as running:
            running.create_task(worker.run(stopping, on_ready))
            running.create_task(replays.run(stopping, lambda: None))


def transport_over(client: Transport, webhook: WebhookSettings, tracing: Tracing | None) -> Transport:
    """What all requests go through, the client last."""
    allowed = HttpsOnly(client) if webhook.https_only else client
    return allowed if tracing is None else TracedTransport(allowed)


def _operational(
    kafka: KafkaSettings, catalog: Catalog, producer: Producer, metrics: WebhookMetrics
) -> OperationalPublisher:
    idempotency = IdempotencyLog(kafka, producer, metrics.consumers_replaced.inc)
    return OperationalPublisher(catalog, Publisher(catalog, producer, idempotency, operational=True), idempotency)


async def _prepare(
    kafka: KafkaSettings,
    stopping: asyncio.Event,
    catalog: Catalog,
    states: EndpointStates,
    stack: contextlib.AsyncExitStack,
) -> bool:
    """Topics exist and the views are up to date; False when it was stopped before Kafka answered."""
    if not await retry_unless(stopping, lambda: ensure_internal_topics(Admin(kafka))):
        return False
    catalog.start()
    stack.push_async_callback(asyncio.to_thread, catalog.stop)
    states.start()
    stack.push_async_callback(asyncio.to_thread, states.stop)
    return await retry_unless(stopping, catalog.caught_up) and await retry_unless(stopping, states.caught_up)
