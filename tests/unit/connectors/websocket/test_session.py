from __future__ import annotations

import gc
import time
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from backbone.realtime_tokens import ConnectionClaims
from connectors.websocket.session import Session
from connectors.websocket.settings import RealtimeSettings

if TYPE_CHECKING:
    from collections.abc import Callable


class Timers:
    """The node's clock: keeps what it shall call, as long as it has not been called."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def add(self, _: object) -> Callable[[], None]:
        return lambda: None

    def at(self, when: float, call: Callable[[], None]) -> None:
        self.waiting.append((when, call))


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
    for _, call in timers.waiting:
        call()


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

    timers.waiting.pop()[1]()

    assert session.closing is None
    assert timers.waiting[-1][0] > time.time() + 900
