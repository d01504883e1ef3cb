"""``/event-service/ws?endpoint_id=``: the websockets of the event service, one JSON message an event, in order.

The API key comes as ``Authorization: Bearer`` or, from browsers, which cannot set headers here, as ``?access=``. With
``?after=<event id>`` a client that was away is first sent what came after the last event that it has.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING, cast

from aiohttp import WSMsgType, web

from backbone.catalog.secrets import SecretBox
from connectors.websocket.shutdown import close_socket
from connectors.websocket.socket_service import SocketProtocol
from families.event_service.delivery.leases import SocketLeases
from families.event_service.model import BODY, REALM, is_socket
from families.event_service.settings import SocketSettings
from schemas.model.access import KeyUse
from schemas.model.channels import channel_key, own_channel
from schemas.model.errors import PermissionDenied, Unavailable
from schemas.security.reading import ReadScope

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from backbone.catalog.view import CatalogView
    from backbone.kafka.producer import Producer
    from backbone.kafka.settings import KafkaSettings
    from backbone.process.settings import BackboneSettings
    from connectors.websocket.channel import Channel, Publication, PushFrame
    from connectors.websocket.session import Node
    from schemas.model.access import ApiKey

log = logging.getLogger(__name__)

PATH = "/event-service/ws"

GOING_AWAY, SLOW, MISSED, REVOKED, DELETED = 1001, 3008, 3010, 3500, 3501
"""Close codes: the node stops; the client took nothing for too long; it fell behind what is kept; its key, or its
endpoint, is gone. Until 3499 it may come back, as with the node's other clients."""

_LOOKED_THROUGH = 500
"""Events of a history that are compared, in half a millisecond, before others get a turn."""

_PAGE = 100
"""Events read from a channel's history at a time."""

_LOOK_AGAIN, _LOOK_ANYWAY = 0.2, 5.0
"""Seconds between two looks whether the catalog has changed, and at the latest whether keys have expired."""


class EventSocket:
    """One connection: a subscriber of its endpoint's channel that writes from the channel's history, at its own pace.

    Args:
        node: whose history it is.
        socket: the client's.
        transport: below it.
        channel: of the endpoint.
        position: number of the last publication that it does not get.
        endpoint: the endpoint's id.
        key: the API key that it was opened with.
    """

    def __init__(
        self,
        node: Node,
        socket: web.WebSocketResponse,
        *,
        transport: asyncio.Transport,
        channel: Channel,
        position: int,
        endpoint: str,
        key: ApiKey,
    ) -> None:
        self._node = node
        self._socket = socket
        self._transport = transport
        self._channel = channel
        self._position = position
        self._news = asyncio.Event()
        self._ended = asyncio.Event()
        self.endpoint = endpoint
        self.key = key
        channel.subscribers[self] = None
        if position < channel.top:
            self._news.set()

    def push(self, frames: Sequence[PushFrame]) -> int:  # noqa: ARG002  # those are in the Centrifugo protocol
        """There are new publications."""
        self._news.set()
        return 0

    async def converse(self) -> None:
        """Send until the client or somebody else closes the connection; what the client says is of no interest."""
        tasks = [asyncio.create_task(work) for work in (self._read(), self._send(), self._ended.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def leave(self) -> None:
        """Be told of nothing more."""
        self._channel.subscribers.pop(self, None)
        self._node.hub.forget_unused(self._channel)

    async def close(self, code: int, reason: str) -> None:
        """End the connection."""
        self._node.metrics.closed.labels(str(code)).inc()
        self.leave()
        await close_socket(self._socket, self._transport, code, reason)
        self._ended.set()

    async def _read(self) -> None:
        """Take what the client says, pings and its closing among it, until it is gone."""
        async for _ in self._socket:
            pass

    async def _send(self) -> None:
        try:
            while await self._news.wait():
                self._news.clear()
                while publications := self._channel.since(self._position, _PAGE):
                    for publication in publications:
                        await self._write(publication)
                        self._position = publication.number
                if publications is None:
                    await self.close(MISSED, "events were missed")
                    return
        except TimeoutError:
            await self.close(SLOW, "slow")
        except ConnectionError:
            pass  # whoever reads the socket notices too

    async def _write(self, publication: Publication) -> None:
        data = _data(self._node, publication)
        if data is not None:
            async with asyncio.timeout(self._node.settings.slow_timeout):
                await self._socket.send_frame(data, WSMsgType.TEXT)
            self._node.metrics.pushed.inc()


class EventSockets:
    """The event service's side of a realtime node.

    Args:
        node: what it shares with the node's other connections.
        secrets: hashes API keys.
        leases: tell the router what is open.
    """

    path = PATH

    def __init__(self, node: Node, secrets: SecretBox, leases: SocketLeases) -> None:
        self._node = node
        self._secrets = secrets
        self._leases = leases
        self._sockets: set[EventSocket] = set()
        self._task: asyncio.Task[None] | None = None
        self._searching: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def start(self) -> None:
        """Begin to look after what will be open."""
        self._leases.start()
        self._task = asyncio.create_task(self._look_after())

    async def stop(self) -> None:
        """Close every connection, so that its client comes back."""
        if self._task is not None:
            self._task.cancel()
        await asyncio.gather(*(socket.close(GOING_AWAY, "shutdown") for socket in list(self._sockets)))
        await self._leases.stop()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One request.

        Raises:
            HTTPException: it is refused: 400, 401, 403 (no role), 404 (no such endpoint, or another client's),
                410 (no such event to go on after), or 503.
        """
        endpoint = request.query.get("endpoint_id", "")
        if not endpoint:
            raise web.HTTPBadRequest(text="endpoint_id is missing.\n")
        try:
            key = await self._api_key(request)
            if not await self._exists(endpoint, key):
                raise web.HTTPNotFound(text=f"There is no websocket endpoint {endpoint}.\n")
            socket = web.WebSocketResponse(
                compress=False,
                max_msg_size=self._node.settings.message_limit,
                heartbeat=self._node.settings.ping_interval,
            )
            if not socket.can_prepare(request):
                raise web.HTTPBadRequest(text="This address takes WebSocket connections.\n")
            await self._leases.open(endpoint)
        except Unavailable as error:
            log.warning("a socket of the event service was refused: %s", error)
            raise web.HTTPServiceUnavailable(text=f"{error.told}\n", headers={"Retry-After": "1"}) from error
        try:
            return await self._run(request, socket, endpoint, key)
        finally:
            await asyncio.shield(self._leases.close(endpoint))

    async def _run(
        self, request: web.Request, socket: web.WebSocketResponse, endpoint: str, key: ApiKey
    ) -> web.StreamResponse:
        name, after = channel_key(key.workspace, own_channel(endpoint)), request.query.get("after")
        position = await self._number_of(name, after, key.workspace) if after else None
        channel = self._node.hub.channel(name)
        position = channel.top if position is None else position
        transport = cast("asyncio.Transport", request.transport)
        connection = EventSocket(
            self._node, socket, transport=transport, channel=channel, position=position, endpoint=endpoint, key=key
        )
        self._sockets.add(connection)
        self._node.metrics.connections.inc()
        try:
            await socket.prepare(request)
            await connection.converse()
        finally:
            self._node.metrics.connections.dec()
            self._sockets.discard(connection)
            connection.leave()
        return socket

    async def _number_of(self, name: bytes, event: str, workspace: str) -> int:
        """The number of an event in a channel's history, to go on after it.

        A workspace has one search at a time, which gives way to others: its clients could ask for it as often as they
        like, and each looks through thousands of events.
        """
        # As ``families.event_service.delivery.output.EventOutput`` begins.
        wanted = b'{"id":"%b"' % event.encode()
        async with self._searching[workspace]:
            channel = self._node.hub.channel(name)
            for count, publication in enumerate(reversed(tuple(channel.history)), 1):
                data = _data(self._node, publication)
                if data is not None and data.startswith(wanted):
                    return publication.number
                if count % _LOOKED_THROUGH == 0:
                    await asyncio.sleep(0)
            self._node.hub.forget_unused(channel)
        raise web.HTTPGone(text=f"The event {event} is not kept any more; connect without it.\n")

    async def _api_key(self, request: web.Request) -> ApiKey:
        scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
        if not credential and not scheme:
            credential = request.query.get("access", "")
        elif scheme.lower() != "bearer":
            credential = ""
        # No key has other characters, and bytes that are no UTF-8 could not be hashed.
        digests = self._secrets.digests(credential.strip()) if credential.isascii() else ()
        found = await self._node.catalog.lookup(lambda view: _usable_key(view, digests))
        if found is None:
            headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise web.HTTPUnauthorized(text="The API key is missing or not known.\n", headers=headers)
        return found

    async def _exists(self, endpoint: str, key: ApiKey) -> bool:
        catalog = self._node.catalog
        try:
            found = await catalog.lookup(lambda view: _reads_endpoint(view, endpoint, key) or None)
        except PermissionDenied as error:
            raise web.HTTPForbidden(text=f"{error}\n") from error
        return bool(found)

    async def _look_after(self) -> None:
        """Close the connections whose endpoint was deleted or whose key is good for nothing any more."""
        view, seen, looked_at = self._node.catalog.view, -1, 0.0
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            version = view.version
            if version == seen and time.monotonic() - looked_at <= _LOOK_ANYWAY:
                continue
            try:
                ended = [self._end(connection, view) for connection in list(self._sockets)]
                await asyncio.gather(*(closing for closing in ended if closing is not None))
            except Exception:  # a key that is good for nothing must not go on for it: look again
                log.exception("websockets could not be compared with the catalog")
            else:
                seen, looked_at = version, time.monotonic()

    def _end(self, connection: EventSocket, view: CatalogView) -> Coroutine[None, None, None] | None:
        """What closes a connection that has lost what it rests on; None for one that goes on."""
        key = connection.key
        endpoint = view.endpoint(connection.endpoint)
        if endpoint is None or endpoint.workspace != key.workspace or not endpoint.enabled:
            return connection.close(DELETED, "endpoint deleted")
        try:
            if _usable_key(view, (key.digest,)) is not None and _reads_endpoint(view, connection.endpoint, key):
                return None
        except PermissionDenied:
            pass
        return connection.close(REVOKED, "access revoked")


def socket_protocol(kafka: KafkaSettings, backbone: BackboneSettings) -> SocketProtocol:
    """The event service's protocol, for a node with these settings."""
    window = SocketSettings().window

    def service(node: Node, producer: Producer) -> EventSockets:
        leases = SocketLeases(kafka, producer, node=node.id, window=window)
        return EventSockets(node, SecretBox(backbone.secret_keys), leases)

    return SocketProtocol(BODY, service)


def _reads_endpoint(view: CatalogView, endpoint_id: str, key: ApiKey) -> bool:
    """Whether there is such a websocket endpoint, and the client of the key may read what is sent to it.

    Raises:
        PermissionDenied: the client has no role.
    """
    client = view.client(key.workspace, key.client)
    endpoint = view.endpoint(endpoint_id)
    if client is None:
        return False
    scope = ReadScope.of(client, ())
    return endpoint is not None and scope.covers(endpoint) and is_socket(endpoint) and endpoint.enabled


def _usable_key(view: CatalogView, digests: Sequence[str]) -> ApiKey | None:
    """The API key of the event service with one of these hashes, if it and its client are in use."""
    for digest in digests:
        key = view.api_key_by_digest(digest)
        if key is None or key.use is not KeyUse.API:
            continue
        if key.expires_at is not None and key.expires_at <= time.time() * 1_000_000:
            continue
        client = view.client(key.workspace, key.client)
        if client is not None and client.realm == REALM and not client.disabled:
            return key
    return None


def _data(node: Node, publication: Publication) -> bytes | None:
    """The JSON of an event, out of the publication that holds it: ``{"data":<JSON>,"offset":<number>}``."""
    body = node.hub.body(publication)
    return None if body is None else body[len(b'{"data":') : body.rindex(b',"offset":')]
