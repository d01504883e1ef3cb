"""Executes the commands of one client, strictly in their order."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TypeVar

import msgspec

from backbone.catalog.realtime_grants import Grant
from connectors.websocket import protocol
from connectors.websocket.protocol import ConnectResult, Disconnected, HistoryResult, ReplyError, SubscribeResult
from schemas.model.channels import MAX_LENGTH, channel_key
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from backbone.realtime_tokens import ConnectionClaims, SubscriptionClaims
    from connectors.websocket.channel import Publication
    from connectors.websocket.protocol import (
        ChannelRequest,
        Command,
        ConnectRequest,
        HistoryRequest,
        Position,
        RefreshRequest,
        SubscribeRequest,
    )
    from connectors.websocket.session import Session

log = logging.getLogger(__name__)

T = TypeVar("T")

VERSION = "headrace"

_REJECT_UNRECOVERED = 2
"""The ``flag`` of a subscribe command that asks for an error instead of lost publications."""

_OTHER_NODE_SECONDS = 2.0
"""Seconds to wait for a position that another node sent and this node has not read yet."""


class Commands:
    """Executes the commands of one connection.

    Args:
        session: the connection.
    """

    __slots__ = ("_authorizer", "_node", "_refused", "_room", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._node = session.node
        self._authorizer = session.node.authorizer
        self._refused = False
        self._room = 0

    async def carry_out(self, text: str) -> None:
        """Execute the commands of one frame; close the connection if it has to end."""
        try:
            await self.handle(text)
        except Disconnected as ended:
            self._session.close(ended.close)
        except Exception:
            log.exception("a realtime command failed")
            self._session.close(protocol.SERVER_ERROR)

    async def handle(self, text: str) -> None:
        """Execute the commands of one frame.

        Raises:
            Disconnected: the connection has to end.
        """
        for command in protocol.commands(text):
            if self._session.closing is not None:
                return
            await self._handle(command)

    async def _handle(self, command: Command) -> None:
        method = protocol.method_of(command)
        if self._refused or (self._session.claims is None) == (method != "connect"):
            # The first command must be connect, there is only one, and after a refused one nothing follows.
            raise Disconnected(protocol.BAD_REQUEST)
        if method is None and not command.id:
            self._session.pong()
            return
        if method == "send":
            return
        if method is None or not command.id:
            raise Disconnected(protocol.BAD_REQUEST)
        self._room = self._session.room // 2
        try:
            after = await getattr(self, f"_{method}")(command.id, getattr(command, method))
        except ReplyError as error:
            self._refused = method == "connect"
            self._session.send(protocol.error_reply(command.id, error))
        except Unavailable as error:
            log.warning("a realtime command was not carried out: %s", error)
            self._refused = method == "connect"
            self._session.send(protocol.error_reply(command.id, protocol.internal()))
        else:
            self._session.send(protocol.reply(command.id, method, after))

    async def _connect(self, _id: int, request: ConnectRequest) -> ConnectResult:
        for subscription in request.subs.values():
            subscription.check()
        claims = self._authorizer.connection(request.token)
        await self._authorizer.look_up(Grant.of(claims), claims.channels)
        if len(claims.channels) > self._node.settings.channel_limit:
            raise protocol.limit_exceeded()
        wanted: dict[str, Position] = {name: request.subs.get(name, protocol.Position()) for name in claims.channels}
        for name, position in wanted.items():
            await self._other_nodes(claims.workspace, name, position)
        # No await from here to the reply, so that no push is sent before it.
        self._check_standing(claims)
        self._session.accept(claims)
        result = self._connect_result(claims)
        result.ping = self._node.settings.ping_interval
        result.pong = True
        result.session = self._session.id
        result.node = self._node.id
        for name, position in self._covered(claims, wanted).items():
            result.subs[name] = self._join(name, position, None, expires_at=None)
        return result

    async def _subscribe(self, _id: int, request: SubscribeRequest) -> SubscribeResult:
        session = self._session
        name = request.channel
        if not name:
            raise Disconnected(protocol.BAD_REQUEST)
        request.check()
        if name in session.subscriptions:
            raise protocol.already_subscribed()
        if len(name) > MAX_LENGTH:
            raise protocol.bad_request()
        if len(session.subscriptions) >= self._node.settings.channel_limit:
            raise protocol.limit_exceeded()
        expires_at = None
        grant = Grant(self._claims.workspace, public=name)
        if request.token:
            claims = self._authorizer.subscription(request.token)
            self._check(claims, name)
            expires_at = claims.expires_at
            grant = Grant.of(claims)
        await self._authorizer.look_up(grant, [name])
        self._check_grant(grant, name)
        await self._other_nodes(self._claims.workspace, name, request)
        # Check again: the catalog may have changed since the look-up.
        self._check_grant(grant, name)
        return self._join(name, request, grant, expires_at=expires_at, flag=request.flag)

    async def _unsubscribe(self, _id: int, request: ChannelRequest) -> dict[str, Any]:
        if not request.channel:
            raise Disconnected(protocol.BAD_REQUEST)
        self._session.leave(request.channel)
        return {}

    async def _refresh(self, _id: int, request: RefreshRequest) -> ConnectResult:
        claims = self._authorizer.refreshed_connection(request.token)
        mine = self._claims
        if (claims.user, claims.workspace) != (mine.user, mine.workspace):
            raise Disconnected(protocol.INVALID_TOKEN)
        await self._authorizer.look_up(Grant.of(claims), claims.channels)
        self._check_standing(claims)
        self._follow(mine.channels, list(self._covered(claims, dict.fromkeys(claims.channels))))
        self._session.renew(claims)
        return self._connect_result(claims)

    async def _sub_refresh(self, _id: int, request: RefreshRequest) -> SubscribeResult:
        if request.type:
            raise protocol.not_available()
        claims = self._authorizer.refreshed_subscription(request.token)
        # Older Python clients omit the channel; the token names it.
        name = request.channel or claims.channel
        self._check(claims, name)
        grant = Grant.of(claims)
        await self._authorizer.look_up(grant, [name])
        self._check_grant(grant, name)
        if name not in self._session.subscriptions:
            raise protocol.permission_denied()
        self._session.renew_subscription(name, grant, claims.expires_at)
        expires, ttl = _ttl(claims.expires_at)
        return SubscribeResult(expires=expires, ttl=ttl)

    async def _history(self, _id: int, request: HistoryRequest) -> HistoryResult:
        subscription = self._session.subscriptions.get(request.channel)
        if subscription is None:
            raise protocol.permission_denied()
        channel = subscription.channel
        epoch = self._node.hub.epoch(channel)
        since = request.since
        if since is not None and since.epoch not in {"", epoch}:
            raise protocol.unrecoverable()
        found = list(channel.history)
        if since is not None:
            after = since.offset
            found = [p for p in found if (p.number < after if request.reverse else p.number > after)]
        if request.reverse:
            found.reverse()
        limit = self._node.settings.recovery_limit
        found = found[: limit if request.limit < 0 else min(limit, request.limit)]
        page = self._fitting(found) or found[:1]
        return HistoryResult(publications=self._bodies(page), epoch=epoch, offset=channel.top)

    async def _presence(self, _id: int, _request: ChannelRequest) -> None:
        raise protocol.not_available()

    _presence_stats = _presence

    async def _publish(self, _id: int, _request: object) -> None:
        raise protocol.permission_denied()

    async def _rpc(self, _id: int, _request: object) -> None:
        raise protocol.not_available()

    async def _ping(self, _id: int, _request: object) -> dict[str, Any]:
        return {}

    async def _other_nodes(self, workspace: str, name: str, position: Position) -> None:
        """Wait a moment for the client's position: the node that it comes from may have read further."""
        hub = self._node.hub
        key = channel_key(workspace, name)
        if position.recover and position.epoch == hub.epoch_of(key) and position.offset > hub.top(key):
            await hub.reached(key, position.offset, _OTHER_NODE_SECONDS)

    def _join(
        self, name: str, position: Position, grant: Grant | None, *, expires_at: int | None, flag: int = 0
    ) -> SubscribeResult:
        """Subscribe and find the missed publications, without an await, so that no publication comes in between."""
        hub = self._node.hub
        channel = hub.channel(channel_key(self._claims.workspace, name))
        epoch = hub.epoch(channel)
        expires, ttl = _ttl(expires_at)
        result = SubscribeResult(
            recoverable=True, positioned=True, epoch=epoch, offset=channel.top, expires=expires, ttl=ttl
        )
        reached = channel.top
        if position.recover:
            same_count = position.epoch in {"", epoch}
            missed = channel.since(position.offset, self._node.settings.recovery_limit) if same_count else None
            self._node.metrics.recoveries.labels("lost" if missed is None else "recovered").inc()
            result.was_recovering = True
            if missed is not None:
                result.recovered = True
                result.offset = position.offset
                told = self._fitting(missed)
                result.publications = self._bodies(told)
                reached = told[-1].number if told else position.offset
            elif flag & _REJECT_UNRECOVERED:
                hub.forget_unused(channel)
                raise protocol.unrecoverable()
        self._session.join(name, channel, reached, grant, expires_at)
        return result

    def _fitting(self, publications: Sequence[Publication]) -> Sequence[Publication]:
        """The publications that fit the reply. With a larger reply the client would count as slow, again and again."""
        hub = self._node.hub
        found = hub.within(publications, self._room)
        self._room -= sum(map(hub.size, found))
        return found

    def _bodies(self, publications: Iterable[Publication]) -> list[msgspec.Raw]:
        bodies = (self._node.hub.body(publication) for publication in publications)
        return [msgspec.Raw(body) for body in bodies if body is not None]

    @property
    def _claims(self) -> ConnectionClaims:
        claims = self._session.claims
        if claims is None:
            raise Disconnected(protocol.BAD_REQUEST)
        return claims

    def _follow(self, before: Sequence[str], now: Sequence[str]) -> None:
        """Subscribe the client to the channels of a new token; end subscriptions that only the old one named."""
        session = self._session
        gone = [name for name in before if name not in now and name in session.subscriptions]
        new = [name for name in now if name not in session.subscriptions and name not in before]
        if len(session.subscriptions) - len(gone) + len(new) > self._node.settings.channel_limit:
            raise protocol.limit_exceeded()
        for name in gone:
            session.unsubscribe(name, protocol.SERVER_UNSUBSCRIBE)
        for name in new:
            result = self._join(name, protocol.Position(), None, expires_at=None)
            session.send(protocol.subscribe_push(name, result))

    def _check_standing(self, claims: ConnectionClaims) -> None:
        if not self._authorizer.stands(Grant.of(claims)):
            raise Disconnected(protocol.INVALID_TOKEN)

    def _covered(self, claims: ConnectionClaims, named: Mapping[str, T]) -> dict[str, T]:
        """The channels of a token that its issuer may still grant."""
        grant = Grant.of(claims)
        return {name: value for name, value in named.items() if self._authorizer.covers(grant, name)}

    def _check_grant(self, grant: Grant, channel: str) -> None:
        if not self._authorizer.covers(grant, channel):
            raise protocol.permission_denied()

    def _check(self, claims: SubscriptionClaims, name: str) -> None:
        """Check that a valid token is for this client and this channel."""
        mine = self._claims
        if (claims.user, claims.workspace, claims.channel) != (mine.user, mine.workspace, name):
            raise Disconnected(protocol.INVALID_TOKEN)
        if claims.client is not None and claims.client != self._session.id:
            raise Disconnected(protocol.INVALID_TOKEN)

    def _connect_result(self, claims: ConnectionClaims) -> ConnectResult:
        expires, ttl = _ttl(claims.expires_at)
        return ConnectResult(client=self._session.id, version=VERSION, expires=expires, ttl=ttl)


def _ttl(expires_at: int | None) -> tuple[bool, int]:
    """Whether it expires, and after how many seconds; at least 1, because 0 would be left out of the reply."""
    return (False, 0) if expires_at is None else (True, max(1, expires_at - int(time.time())))
