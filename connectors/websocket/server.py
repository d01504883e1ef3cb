"""The HTTP side of a realtime node: the WebSocket endpoint and the health routes."""

from __future__ import annotations

import asyncio
import logging
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web
from aiohttp.http_exceptions import HttpProcessingError

from connectors.websocket import event_service, protocol
from connectors.websocket.commands import Commands
from connectors.websocket.session import Session
from schemas.http_head import Refusal, is_utf_8, refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

    from connectors.websocket.event_service import EventSockets
    from connectors.websocket.session import Node

log = logging.getLogger(__name__)

PATH = "/connection/websocket"

_BACKLOG = 4_096
"""Connections that wait to be accepted: after a restart all clients come back at once."""

_JSON, _PROTOBUF = "centrifuge-json", "centrifuge-protobuf"
"""Subprotocols. A client that offers none speaks JSON."""


class Server:
    """Listens on a port.

    Args:
        node: what the connections share.
        event_sockets: serves the websockets of the event service.
        unready: returns why the process cannot do its work, or None; called on a thread.
    """

    def __init__(self, node: Node, event_sockets: EventSockets, unready: Callable[[], str | None]) -> None:
        self._node = node
        self._unready = unready
        self._asking: asyncio.Future[str | None] | None = None
        self._event_sockets = event_sockets
        app = web.Application(middlewares=[_refuse_bad_heads])
        app.router.add_get(PATH, self._websocket)
        app.router.add_get(event_service.PATH, self._event_service)
        app.router.add_get("/healthz", _healthy)
        app.router.add_get("/readyz", self._ready)
        server_log = logging.getLogger(f"{__name__}.http")
        server_log.addFilter(_is_not_of_a_client)
        # Sessions end with close codes of their own.
        self._runner = web.AppRunner(app, access_log=None, logger=server_log, shutdown_timeout=0)

    async def start(self) -> int:
        """Listen; returns the port.

        Raises:
            OSError: the port is taken.
        """
        settings = self._node.settings
        await self._runner.setup()
        site = web.TCPSite(self._runner, settings.host, settings.port, backlog=_BACKLOG)
        await site.start()
        port: int = self._runner.addresses[0][1]
        log.info("clients can connect", extra={"host": settings.host, "port": port})
        return port

    async def stop(self) -> None:
        """Close every connection so that its client reconnects, and listen no more."""
        for site in list(self._runner.sites):
            await site.stop()
        await self._event_sockets.stop()
        sessions = list(self._node.sessions)
        for session in sessions:
            session.close(protocol.SHUTDOWN)
        for session in sessions:
            if session.closing is not None:
                await session.closing
        await self._runner.cleanup()

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        self._check_origin(request)
        # Frames that many clients get are made once, which rules out compression of each.
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
            try:
                await commands.handle(message.data)
            except protocol.Disconnected as ended:
                session.close(ended.close)
            except Exception:
                log.exception("a realtime command failed")
                session.close(protocol.SERVER_ERROR)

    async def _event_service(self, request: web.Request) -> web.StreamResponse:
        self._check_origin(request)
        return await self._event_sockets.serve(request)

    async def _ready(self, _request: web.Request) -> web.Response:
        # The port is opened only once the log has been read to its end.
        # Callers share the question: it may occupy a thread for seconds.
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(asyncio.to_thread(self._unready))
        reason = await asyncio.shield(self._asking)
        if reason is None:
            return web.json_response({"status": "ready"})
        return web.json_response({"status": "unavailable", "reason": reason}, status=503)

    def _check_origin(self, request: web.Request) -> None:
        """Browsers say which site's page connects; other clients say nothing.

        The page's host must be ours. A name is no proof: whoever owns one can let it lead to this node.
        """
        origin = request.headers.get("Origin")
        allowed = self._node.settings.origins
        is_own = origin is not None and _host(origin) == request.host and is_address(request.host)
        if not (origin is None or "*" in allowed or origin in allowed or is_own):
            raise web.HTTPForbidden(text="This origin is not allowed to connect (HEADRACE_REALTIME_ORIGINS).\n")


@web.middleware
async def _refuse_bad_heads(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what the library accepts and RFC 9112 does not."""
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
    """Why a client cannot be served, if so, and the subprotocols to choose from.

    Browsers show no reason for a refused handshake, and the SDK would try again for ever: it is accepted under the
    subprotocol that was offered, and closed with a code upon which clients do not reconnect.
    """
    offered = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if _JSON in offered:
        return None, (_JSON,)
    if _PROTOBUF in offered or "protobuf" in (request.query.get("format"), request.query.get("cf_protocol")):
        return protocol.INAPPROPRIATE_PROTOCOL, (_PROTOBUF,)
    if request.query.get("cf_ws_frame_ping_pong") == "true":
        return protocol.NOT_AVAILABLE, ()
    return None, ()


def is_address(host: str) -> bool:
    """Whether a ``Host`` header names an IP address or ``localhost``, which nobody else's name server decides."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _is_not_of_a_client(record: logging.LogRecord) -> bool:
    """Whether a log record is about something else than a request that is no HTTP; it would show keys in it."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


async def _healthy(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})
