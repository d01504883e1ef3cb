"""A realtime node's process: the catalog, the log, the port, in this order."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from backbone.catalog.reader import Catalog
from backbone.catalog.secrets import SecretBox
from backbone.kafka.admin import Admin
from backbone.kafka.producer import Producer
from backbone.kafka.topology import ensure_internal_topics
from backbone.startup import persist
from connectors.websocket.admission import Admission, Doorkeeper
from connectors.websocket.clock import Clock
from connectors.websocket.event_service import EventSockets
from connectors.websocket.history import Retention
from connectors.websocket.hub import Hub
from connectors.websocket.log_reader import LogReader
from connectors.websocket.metrics import RealtimeMetrics
from connectors.websocket.position_writer import PositionWriter
from connectors.websocket.rendering import PublicationRenderer
from connectors.websocket.server import Server
from connectors.websocket.session import Node
from connectors.websocket.socket_leases import SocketLeases
from schemas.errors import Misconfigured
from schemas.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectors.settings import ConnectorSettings


async def serve_realtime(
    settings: ConnectorSettings,
    stopping: asyncio.Event,
    on_ready: Callable[[int], None],
    metrics: RealtimeMetrics | None = None,
    *,
    unready: Callable[[], str | None] = lambda: None,
) -> None:
    """Serve WebSocket clients until ``stopping`` is set.

    Args:
        settings: of this process.
        stopping: ends it.
        on_ready: told the port once clients can connect: every channel is then counted to its end.
        metrics: counters to use; by default those of the process.
        unready: returns why the process cannot do its work, or None; for ``/readyz``.

    Raises:
        Misconfigured: the port is taken.
        Unavailable: the log could not be read any more; start the process again.
    """
    realtime = settings.realtime
    metrics = metrics or RealtimeMetrics()
    async with contextlib.AsyncExitStack() as stack:
        catalog = Catalog(
            settings.kafka,
            settings.backbone.secret_keys,
            on_forged=metrics.catalog_forged.inc,
            on_stall=metrics.consumers_replaced.inc,
        )
        if not await persist(stopping, lambda: ensure_internal_topics(Admin(settings.kafka))):
            return
        catalog.start()
        stack.push_async_callback(asyncio.to_thread, catalog.stop)
        if not await persist(stopping, catalog.caught_up):
            return
        renderer = PublicationRenderer(catalog)
        hub = Hub(renderer.render, Retention(realtime.history_size, realtime.history_bytes), metrics)
        reader = LogReader(
            settings.kafka,
            hub,
            renderer,
            rebuild_records=realtime.rebuild_records,
            on_stall=metrics.consumers_replaced.inc,
        )
        stack.push_async_callback(reader.stop)
        if not await _unless(stopping, reader.start()):
            return
        writer = PositionWriter(settings.kafka, hub, interval=realtime.positions_interval, metrics=metrics)
        writer.start()
        stack.push_async_callback(writer.stop)
        clock = Clock(realtime.ping_interval, realtime.pong_timeout)
        clock.start()
        stack.callback(clock.stop)
        node = Node(
            id=new_id(),
            hub=hub,
            clock=clock,
            admission=Admission(realtime.token.tokens(settings.backbone), catalog, realtime.envoy),
            catalog=catalog,
            settings=realtime,
            metrics=metrics,
            sessions=set(),
        )
        doorkeeper = Doorkeeper(node)
        doorkeeper.start()
        stack.callback(doorkeeper.stop)
        event_sockets = await _event_sockets(settings, node, stack)
        server = Server(node, event_sockets, unready)
        stack.push_async_callback(server.stop)
        try:
            port = await server.start()
        except OSError as error:
            address = f"{realtime.host}:{realtime.port}"
            raise Misconfigured(f"cannot listen on {address} (HEADRACE_REALTIME_PORT): {error}") from error
        on_ready(port)
        await _unless(stopping, reader.failure)


async def _event_sockets(settings: ConnectorSettings, node: Node, stack: contextlib.AsyncExitStack) -> EventSockets:
    producer = Producer(settings.kafka)
    await producer.start()
    stack.push_async_callback(producer.stop)
    leases = SocketLeases(settings.kafka, producer, node=node.id, window=settings.realtime.socket_window)
    event_sockets = EventSockets(node, SecretBox(settings.backbone.secret_keys), leases)
    event_sockets.start()
    return event_sockets


async def _unless(stopping: asyncio.Event, work: Awaitable[None]) -> bool:
    """Wait for work, True, or until it shall stop, False."""
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
