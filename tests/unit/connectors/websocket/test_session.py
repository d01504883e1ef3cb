from __future__ import annotations

import asyncio
import gc
import time
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from prometheus_client import CollectorRegistry

from backbone.realtime_tokens import ConnectionClaims
from connectors.websocket.channel import Channel, Publication
from connectors.websocket.history import Retention
from connectors.websocket.hub import Hub
from connectors.websocket.metrics import RealtimeMetrics
from connectors.websocket.session import Session, Subscription
from connectors.websocket.settings import RealtimeSettings

if TYPE_CHECKING:
    from collections.abc import Callable


class Timers:
    """The node's clock: knows what it shall call, as long as it is there."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, weakref.WeakMethod[Callable[[], None]]]] = []

    def add(self, _: object) -> Callable[[], None]:
        return lambda: None

    def at(self, when: float, call: Callable[[], None]) -> None:
        self.waiting.append((when, weakref.WeakMethod(call)))


def claims(expires_at: int) -> ConnectionClaims:
    return ConnectionClaims(user="u", workspace="w", issuer=None, channels=(), expires_at=expires_at)


def open_session(timers: Timers) -> Session:
    node: Any = SimpleNamespace(clock=timers, settings=RealtimeSettings())
    return Session(node, socket=SimpleNamespace(), transport=SimpleNamespace())  # type: ignore[arg-type]  # unused


def test_a_connection_that_has_ended_is_not_kept_until_its_token_expires() -> None:
    timers = Timers()
    session = open_session(timers)
    session.accept(claims(int(time.time()) + 3_600))
    ended = weakref.ref(session)

    session.leave_all()
    del session
    gc.collect()

    assert ended() is None


def test_a_client_that_refreshes_on_and_on_costs_one_timer() -> None:
    timers = Timers()
    session = open_session(timers)
    soon = int(time.time()) + 60
    session.accept(claims(soon))
    before = len(timers.waiting)

    for later in range(100):
        session.renew(claims(soon + later))

    assert len(timers.waiting) == before


def test_a_timer_that_comes_too_early_is_set_anew() -> None:
    timers = Timers()
    session = open_session(timers)
    session.accept(claims(int(time.time()) - 1_000))
    session.renew(claims(int(time.time()) + 1_000))

    look = timers.waiting.pop()[1]()
    assert look is not None
    look()

    assert session.closing is None
    assert timers.waiting[-1][0] > time.time() + 900


class Delivery:
    """As much of a consumed message as a channel looks at."""

    def __init__(self, offset: int, size: int) -> None:
        self._offset, self._size = offset, size

    def value(self) -> bytes:
        return b"x" * self._size

    def offset(self) -> int:
        return self._offset


class Unread:
    """The transport of a client that takes nothing."""

    def __init__(self, waiting: int = 0) -> None:
        self.waiting = waiting
        self.written: list[bytes] = []

    def write(self, frame: bytes) -> None:
        self.waiting += len(frame)
        self.written.append(frame)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return False


def session_on(transport: Unread) -> Session:
    node: Any = SimpleNamespace(
        clock=Timers(), settings=RealtimeSettings(), metrics=RealtimeMetrics(CollectorRegistry())
    )
    return Session(node, socket=SimpleNamespace(), transport=transport)  # type: ignore[arg-type]  # as much as is used


def test_a_client_that_catches_up_is_not_closed_for_being_pinged() -> None:
    session = session_on(Unread(waiting=2 * RealtimeSettings().send_limit))

    session.ping()

    assert session.closing is None


@pytest.mark.parametrize("record", [100_000, 100])
async def test_who_catches_up_has_no_more_waiting_than_may_and_one_publication(record: int) -> None:
    transport = Unread()
    session = session_on(transport)
    session.node.hub = Hub(lambda _: b'"%b"' % (b"x" * 100_000), Retention(1_000, 10**9), session.node.metrics)  # type: ignore[misc]
    channel = Channel(b"w/orders", 0)
    for offset in range(100):
        channel.count(Publication(cast("Any", Delivery(offset, record)), offset))

    subscription = Subscription(session, channel)
    subscription.begin(0)
    for _ in range(500):
        await asyncio.sleep(0)
    subscription.end()

    assert session.congested
    assert transport.waiting < session.node.settings.send_limit // 2 + 110_000
