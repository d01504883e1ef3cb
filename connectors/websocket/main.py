"""The process of a realtime node: opens the catalog, the log and the port, in this order."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from backbone.catalog.reader import Catalog
from backbone.catalog.realtime_grants import RealtimeRights
from backbone.kafka.admin import Admin
from backbone.kafka.producer import Producer
from backbone.kafka.retrying import retry_unless
from backbone.kafka.topology import ensure_internal_topics
from connectors.websocket.authorization import ClientAuthorizer
from connectors.websocket.history import Retention
from connectors.websocket.hub import Hub
from connectors.websocket.log_reader import LogReader
from connectors.websocket.ping_scheduler import PingScheduler
from connectors.websocket.position_writer import PositionWriter
from connectors.websocket.rendering import PublicationRenderer
from connectors.websocket.revocations import RevocationMonitor
from connectors.websocket.server import Server
from connectors.websocket.session import Node
from schemas.model.errors import Misconfigured
from schemas.model.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backbone.catalog.realtime_grants import RealmChannels
    from backbone.kafka.settings import KafkaSettings
    from backbone.process.settings import BackboneSettings
    from connectors.shared.body import Bodies
    from connectors.websocket.metrics import RealtimeMetrics
    from connectors.websocket.settings import RealtimeSettings
    from connectors.websocket.socket_service import SocketProtocol, SocketService


async def serve_realtime(
    stopping: asyncio.Event,
    on_ready: Callable[[int], None],
    *,
    kafka: KafkaSettings,
    backbone: BackboneSettings,
    realtime: RealtimeSettings,
    bodies: Bodies,
    realms: Sequence[RealmChannels],
    protocols: Sequence[SocketProtocol],
    metrics: RealtimeMetrics,
    unready: Callable[[], str | None] = lambda: None,
) -> None:
    """Serve WebSocket clients until ``stopping`` is set.

    Args:
        stopping: ends it.
        on_ready: called with the port once clients can connect; every channel is counted to its end by then.
        kafka: how to reach Kafka.
        backbone: the secret keys.
        realtime: the port, the tokens and the bounds.
        bodies: the formats that endpoints may ask for.
        realms: rules of realms whose clients have channels of their own.
        protocols: WebSocket protocols of families.
        metrics: counters to use.
        unready: returns why the process cannot do its work, or None; for ``/readyz``.

    Raises:
        Misconfigured: the port is taken.
        Unavailable: the log can no longer be read; start the process again.
    """
    async with contextlib.AsyncExitStack() as stack:
        catalog = Catalog(
            kafka,
            backbone.secret_keys,
            on_forged=metrics.catalog_forged.inc,
            on_stall=metrics.consumers_replaced.inc,
        )
        if not await retry_unless(stopping, lambda: ensure_internal_topics(Admin(kafka))):
            return
        catalog.start()
        stack.push_async_callback(asyncio.to_thread, catalog.stop)
        if not await retry_unless(stopping, catalog.caught_up):
            return
        renderer = PublicationRenderer(catalog, bodies, {each.body for each in protocols})
        hub = Hub(renderer.render, Retention(realtime.history_size, realtime.history_bytes), metrics)
        reader = LogReader(
            kafka,
            hub,
            renderer,
            rebuild_records=realtime.rebuild_records,
            on_stall=metrics.consumers_replaced.inc,
        )
        stack.push_async_callback(reader.stop)
        if not await _unless(stopping, reader.start()):
            return
        writer = PositionWriter(kafka, hub, interval=realtime.positions_interval, metrics=metrics)
        writer.start()
        stack.push_async_callback(writer.stop)
        clock = PingScheduler(realtime.ping_interval, realtime.pong_timeout)
        clock.start()
        stack.callback(clock.stop)
        node = Node(
            id=new_id(),
            hub=hub,
            clock=clock,
            authorizer=ClientAuthorizer(realtime.token.tokens(backbone), catalog, RealtimeRights(realms)),
            catalog=catalog,
            settings=realtime,
            metrics=metrics,
            sessions=set(),
        )
        doorkeeper = RevocationMonitor(node)
        doorkeeper.start()
        stack.callback(doorkeeper.stop)
        server = Server(node, await _services(protocols, kafka, node, stack), unready)
        stack.push_async_callback(server.stop)
        try:
            port = await server.start()
        except OSError as error:
            address = f"{realtime.host}:{realtime.port}"
            raise Misconfigured(f"cannot listen on {address} (HEADRACE_REALTIME_PORT): {error}") from error
        on_ready(port)
        await _unless(stopping, reader.failure)


async def _services(
    protocols: Sequence[SocketProtocol], kafka: KafkaSettings, node: Node, stack: contextlib.AsyncExitStack
) -> list[SocketService]:
    producer = Producer(kafka)
    await producer.start()
    stack.push_async_callback(producer.stop)
    services = [each.service(node, producer) for each in protocols]
    for service in services:
        service.start()
    return services


async def _unless(stopping: asyncio.Event, work: Awaitable[None]) -> bool:
    """Wait for work and return True; return False when it is time to stop."""
    stop = asyncio.ensure_future(stopping.wait())
    done = asyncio.ensure_future(work)
    try:
        await asyncio.wait((stop, done), return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            await done
            return True
        return False
    finally:
        stop.cancel()
        done.cancel()
