"""The HTTP side of a realtime node: the WebSocket endpoint and the health routes."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web
from aiohttp.http_exceptions import HttpProcessingError

from backbone.process.http_hosts import is_address
from connectors.websocket import handshake, protocol
from connectors.websocket.commands import Commands
from connectors.websocket.connection import Connection
from connectors.websocket.session import Session
from schemas.security.http_head import Refusal, is_utf_8, refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp.typedefs import Handler

    from connectors.websocket.session import Node
    from connectors.websocket.socket_service import SocketService

log = logging.getLogger(__name__)

_BACKLOG = 4_096
"""Backlog of connections that wait to be accepted: after a restart all clients reconnect at once."""

_PROTOBUF = "centrifuge-protobuf"


class Server:
    """Serves WebSocket clients and health routes on a port.

    Args:
        node: shared by the connections.
        services: serve further paths; stopped by this server.
        unready: returns why the process cannot do its work, or None; called on a thread.
    """

    def __init__(self, node: Node, services: Sequence[SocketService], unready: Callable[[], str | None]) -> None:
        self._node = node
        self._unready = unready
        self._asking: asyncio.Future[str | None] | None = None
        self._services = services
        app = web.Application(middlewares=[_refuse_bad_heads])
        app.router.add_get(handshake.PATH, self._websocket)
        for service in services:
            app.router.add_get(service.path, functools.partial(self._serve, service))
        app.router.add_get("/healthz", _healthy)
        app.router.add_get("/readyz", self._ready)
        server_log = logging.getLogger(f"{__name__}.http")
        server_log.addFilter(_is_not_of_a_client)
        # Sessions send their own close codes.
        self._runner = web.AppRunner(app, access_log=None, logger=server_log, shutdown_timeout=0)
        self._listening: asyncio.Server | None = None
        self._strangers: set[Connection] = set()

    async def start(self) -> int:
        """Listen; returns the port.

        Raises:
            OSError: the port is taken.
        """
        settings = self._node.settings
        await self._runner.setup()
        http = cast("Callable[[], asyncio.Protocol]", self._runner.server)
        self._listening = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._node, self._may_connect, http, self._strangers),
            settings.host,
            settings.port,
            backlog=_BACKLOG,
        )
        port: int = self._listening.sockets[0].getsockname()[1]
        log.info("clients can connect", extra={"host": settings.host, "port": port})
        return port

    async def stop(self) -> None:
        """Close every connection so that its client reconnects, and listen no more."""
        if self._listening is not None:
            self._listening.close()
        for stranger in list(self._strangers):
            stranger.drop()
        for service in self._services:
            await service.stop()
        sessions = list(self._node.sessions)
        for session in sessions:
            session.close(protocol.SHUTDOWN)
        for session in sessions:
            if session.closing is not None:
                await session.closing
        await self._runner.cleanup()

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        self._check_origin(request)
        # A frame is made once for all its receivers, so it cannot be compressed for each.
        refused, subprotocols = _protocol_refusal(request)
        socket = web.WebSocketResponse(
            compress=False, max_msg_size=self._node.settings.message_limit, protocols=subprotocols
        )
        if not socket.can_prepare(request):
            raise web.HTTPBadRequest(text="This address takes WebSocket connections.\n")
        await socket.prepare(request)
        if refused is not None:
            await socket.close(code=refused.code, message=refused.reason.encode())
            return socket
        session = Session(self._node, socket, cast("asyncio.Transport", request.transport))
        self._node.sessions.add(session)
        self._node.metrics.connections.inc()
        try:
            await self._converse(socket, session)
        finally:
            self._node.metrics.connections.dec()
            self._node.sessions.discard(session)
            session.leave_all()
        if session.closing is not None:
            await session.closing
        return socket

    async def _converse(self, socket: web.WebSocketResponse, session: Session) -> None:
        commands = Commands(session)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                session.close(protocol.BAD_REQUEST)
                continue
            await commands.carry_out(message.data)

    async def _serve(self, service: SocketService, request: web.Request) -> web.StreamResponse:
        self._check_origin(request)
        return await service.serve(request)

    async def _ready(self, _request: web.Request) -> web.Response:
        # The port is opened only once the log has been read to its end.
        # Callers share one check: it may occupy a thread for seconds.
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(asyncio.to_thread(self._unready))
        reason = await asyncio.shield(self._asking)
        if reason is None:
            return web.json_response({"status": "ready"})
        body = {"status": "unavailable", "reason": reason}
        return web.json_response(body, status=503, headers={"Retry-After": "1"})

    def _check_origin(self, request: web.Request) -> None:
        if not self._may_connect(request.headers.get("Origin"), request.host):
            raise web.HTTPForbidden(text="This origin is not allowed to connect (HEADRACE_REALTIME_ORIGINS).\n")

    def _may_connect(self, origin: str | None, host: str) -> bool:
        """Whether a page of this origin may connect. Browsers send the origin, other clients do not.

        The page must come from this host. A host name proves nothing: its owner can let it resolve to this node.
        """
        allowed = self._node.settings.origins
        is_own = origin is not None and _host(origin) == host and is_address(host)
        return origin is None or "*" in allowed or origin in allowed or is_own


@web.middleware
async def _refuse_bad_heads(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that the library accepts and RFC 9112 forbids."""
    version = f"{request.version.major}.{request.version.minor}"
    hosts, codings = (request.headers.getall(name, []) for name in ("Host", "Transfer-Encoding"))
    refusal = refusal_of(version, hosts, codings)
    if refusal is None and not is_utf_8(request.raw_path):
        refusal = Refusal(400, "The URL must be percent-encoded UTF-8.")
    if refusal is None:
        return await handler(request)
    answer = web.Response(status=refusal.status, text=f"{refusal.message}\n")
    answer.force_close()
    return answer


def _protocol_refusal(request: web.Request) -> tuple[protocol.Close | None, tuple[str, ...]]:
    """The reason to close the client at once, or None, and the subprotocols to choose from.

    A handshake that asks for an unknown subprotocol is accepted and then closed with a code that stops reconnects:
    browsers show no reason for a refused handshake, and the SDK would try again for ever.
    """
    offered = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if protocol.SUBPROTOCOL in offered:
        return None, (protocol.SUBPROTOCOL,)
    if _PROTOBUF in offered or "protobuf" in (request.query.get("format"), request.query.get("cf_protocol")):
        return protocol.INAPPROPRIATE_PROTOCOL, (_PROTOBUF,)
    if request.query.get("cf_ws_frame_ping_pong") == "true":
        return protocol.NOT_AVAILABLE, ()
    return None, ()


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _is_not_of_a_client(record: logging.LogRecord) -> bool:
    """Drop log records about requests that are not HTTP: they would show keys."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


async def _healthy(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})
