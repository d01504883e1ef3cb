"""One connection: its sends, its subscriptions, its end."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from connectors.websocket import protocol
from connectors.websocket.shutdown import close_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.reader import Catalog
    from backbone.catalog.realtime_grants import Grant
    from backbone.realtime_tokens import ConnectionClaims
    from connectors.websocket.authorization import ClientAuthorizer
    from connectors.websocket.channel import Channel, PushFrame
    from connectors.websocket.hub import Hub
    from connectors.websocket.metrics import RealtimeMetrics
    from connectors.websocket.ping_scheduler import PingScheduler
    from connectors.websocket.protocol import Close
    from connectors.websocket.settings import RealtimeSettings
    from connectors.websocket.shutdown import Closable

log = logging.getLogger(__name__)

_PING_FRAME = protocol.text_frame(protocol.PING)
_LOOK_AGAIN = 0.02

_PAGE = 100
"""Publications sent at a time to a client that catches up."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """The objects that all connections of a node share."""

    id: str
    hub: Hub
    clock: PingScheduler
    authorizer: ClientAuthorizer
    catalog: Catalog
    settings: RealtimeSettings
    metrics: RealtimeMetrics
    sessions: set[Session]


class Subscription:
    """A subscription of one connection to one channel.

    It is live or catches up. A live one gets each publication as it comes. When the client has reconnected, or falls
    behind in a burst, a task sends the missed publications from memory, as fast as the socket takes them.

    Attributes:
        grant: the token that allowed this subscription; None means the connection's own token.
        expires_at: seconds since the epoch; None means never.
    """

    __slots__ = ("_session", "_task", "channel", "expires_at", "grant")

    def __init__(self, session: Session, channel: Channel) -> None:
        self.channel = channel
        self.expires_at: int | None = None
        self.grant: Grant | None = None
        self._session = session
        self._task: asyncio.Task[None] | None = None

    def begin(self, position: int) -> None:
        """Send the publications after a position in the channel."""
        if position == self.channel.top:
            self.channel.subscribers[self] = None
        else:
            self._task = asyncio.create_task(self._catch_up(position))

    def end(self) -> None:
        """End the subscription: send nothing more."""
        self.channel.subscribers.pop(self, None)
        if self._task is not None:
            self._task.cancel()

    def push(self, frames: Sequence[PushFrame]) -> int:
        """Send the next publications; if they do not fit, start to catch up."""
        sent = 0
        for frame, publications, last in frames:
            sent += publications
            if not self._session.write_push(frame):
                self.channel.subscribers.pop(self, None)
                self._task = asyncio.create_task(self._catch_up(last))
                break
        return sent

    async def _catch_up(self, position: int) -> None:
        """Send missed publications; if they are gone from memory, end the connection, so that the client learns it."""
        session, hub = self._session, self._session.node.hub
        while await session.drained():
            missed = self.channel.since(position, _PAGE)
            if missed is None:
                session.close(protocol.INSUFFICIENT_STATE)
                return
            if not missed:
                self._task = None
                self.channel.subscribers[self] = None
                return
            page = hub.within(missed, session.room) or missed[:1]
            for frame, publications, _ in hub.push_frames(self.channel, page):
                session.write_push(frame)
                session.node.metrics.pushed.inc(publications)
            position = page[-1].number
            # Let the others run, however fast this client reads.
            await asyncio.sleep(0)


class Session:
    """Sends everything in the order of the calls; only a subscription that catches up waits for the socket.

    Args:
        node: shared by all connections.
        socket: closes the connection.
        transport: of the socket; writes without waiting.
    """

    __slots__ = (
        "__weakref__",
        "_forget",
        "_next_look",
        "_pinged",
        "_socket",
        "_transport",
        "claims",
        "closing",
        "expires_at",
        "id",
        "node",
        "subscriptions",
    )

    def __init__(self, node: Node, socket: Closable, transport: asyncio.Transport) -> None:
        self.node = node
        self.id = str(uuid4())
        self.claims: ConnectionClaims | None = None
        self.expires_at: int | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.closing: asyncio.Task[None] | None = None
        self._socket = socket
        self._transport = transport
        self._pinged = False
        self._forget: Callable[[], None] | None = None
        self._next_look: float | None = None
        node.clock.at(time.time() + node.settings.stale_delay, self._stale)

    def accept(self, claims: ConnectionClaims) -> None:
        """Accept a client whose token is valid."""
        self.claims = claims
        self._forget = self.node.clock.add(self)
        self.expire(claims.expires_at)

    def renew(self, claims: ConnectionClaims) -> None:
        """Accept a new token of the client."""
        self.claims = claims
        self.expire(claims.expires_at)

    def write(self, frame: bytes) -> None:
        """Send a frame; close a client that sends commands and does not read the replies."""
        if self.open:
            self._transport.write(frame)
            if self._transport.get_write_buffer_size() > self.node.settings.send_limit:
                self.close(protocol.SLOW)

    def write_push(self, frame: bytes) -> bool:
        """Send publications; return whether more may follow at once."""
        if self.open:
            self._transport.write(frame)
        return not self.congested

    @property
    def open(self) -> bool:
        """Whether anything can be sent.

        A connection that the client has cut stays subscribed until its last command ends. Writing to it would raise in
        the code that publishes.
        """
        return self.closing is None and not self._transport.is_closing()

    @property
    def congested(self) -> bool:
        """Whether the send buffer is too full to add publications."""
        return self._transport.get_write_buffer_size() > self.node.settings.send_limit // 2

    @property
    def room(self) -> int:
        """Bytes that may be added until the connection is congested."""
        return max(0, self.node.settings.send_limit // 2 - self._transport.get_write_buffer_size())

    async def drained(self) -> bool:
        """Wait until the client has read most of the buffer; False if it is gone or read nothing for too long."""
        waits = self._transport.get_write_buffer_size()
        patience = self.node.settings.slow_timeout
        deadline = time.monotonic() + patience
        while self.open and self.congested:
            await asyncio.sleep(_LOOK_AGAIN)
            left = self._transport.get_write_buffer_size()
            if left < waits:
                deadline = time.monotonic() + patience
            elif time.monotonic() > deadline:
                self.close(protocol.SLOW)
            waits = left
        return self.open

    def send(self, message: bytes) -> None:
        """Send one message."""
        self.write(protocol.text_frame(message))

    def ping(self) -> None:
        """Send a ping."""
        self._pinged = True
        if self.open:
            # Not ``write``: a full buffer is no reason to close a client that catches up.
            self._transport.write(_PING_FRAME)

    def pong(self) -> None:
        """Note a pong.

        Raises:
            Disconnected: no ping was sent.
        """
        if not self._pinged:
            raise protocol.Disconnected(protocol.BAD_REQUEST)
        self._pinged = False

    def expect_pong(self) -> None:
        """End the connection if the last ping was not answered."""
        if self._pinged:
            self.close(protocol.NO_PONG)

    def expire(self, at: int | None) -> None:
        """End the connection after a time (seconds since the epoch) and the grace, unless a later call changes it."""
        self.expires_at = at
        if at is not None:
            self._look_at(at)

    def join(self, name: str, channel: Channel, position: int, grant: Grant | None, expires_at: int | None) -> None:
        """Subscribe to the publications after a position in the channel."""
        subscription = self.subscriptions[name] = Subscription(self, channel)
        self.node.metrics.subscriptions.inc()
        subscription.begin(position)
        self.renew_subscription(name, grant, expires_at)

    def renew_subscription(self, name: str, grant: Grant | None, expires_at: int | None) -> None:
        """End a subscription after a time (seconds since the epoch) and the grace, unless a later call changes it."""
        subscription = self.subscriptions[name]
        subscription.grant = grant
        subscription.expires_at = expires_at
        if expires_at is not None:
            self._look_at(expires_at)

    def unsubscribe(self, name: str, why: Close) -> None:
        """End a subscription, and tell the client."""
        self.leave(name)
        self.send(protocol.unsubscribe_push(name, why))

    def leave(self, name: str) -> None:
        """End a subscription, if there is one."""
        subscription = self.subscriptions.pop(name, None)
        if subscription is not None:
            self.node.metrics.subscriptions.dec()
            subscription.end()
            self.node.hub.forget_unused(subscription.channel)

    def leave_all(self) -> None:
        """End all subscriptions: the connection is gone."""
        for name in list(self.subscriptions):
            self.leave(name)
        if self._forget is not None:
            self._forget()

    def close(self, why: Close) -> None:
        """End the connection after everything that was sent before."""
        if self.closing is None:
            self.node.metrics.closed.labels(str(why.code)).inc()
            self.leave_all()
            self.closing = asyncio.create_task(close_socket(self._socket, self._transport, why.code, why.reason))

    def _stale(self) -> None:
        if self.claims is None:
            self.close(protocol.STALE)

    def _look_at(self, expiry: float) -> None:
        """Call ``_end_what_expired`` after this expiry and the grace, at the latest."""
        if self._next_look is None or expiry < self._next_look:
            self._next_look = expiry
            self.node.clock.at(expiry + self.node.settings.expiry_grace, self._end_what_expired)

    def _end_what_expired(self) -> None:
        self._next_look = None
        now = time.time() - self.node.settings.expiry_grace
        if self.expires_at is not None and self.expires_at <= now:
            self.close(protocol.EXPIRED)
            return
        for name, subscription in list(self.subscriptions.items()):
            if subscription.expires_at is not None and subscription.expires_at <= now:
                self.unsubscribe(name, protocol.SUBSCRIPTION_OVER)
        left = (self.expires_at, *(each.expires_at for each in self.subscriptions.values()))
        if expiries := [each for each in left if each is not None]:
            self._look_at(min(expiries))
