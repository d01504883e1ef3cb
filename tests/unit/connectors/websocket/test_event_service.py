"""The event service's websockets, where nothing but their own code is needed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from connectors.websocket import event_service
from connectors.websocket.event_service import DELETED, EventSockets

if TYPE_CHECKING:
    import pytest


class View:
    """A catalog without any endpoint, that could not say so at first."""

    version = 1
    asked = 0

    def endpoint(self, _: str) -> None:
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("nobody thought of this")


class Connection:
    endpoint = "e1"
    key = SimpleNamespace(workspace="w")

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.codes: list[int] = []

    async def close(self, code: int, _: str) -> None:
        self.codes.append(code)
        self.closed.set()


class Leases:
    def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass


async def test_a_look_that_failed_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_service, "_LOOK_AGAIN", 0.0)
    node: Any = SimpleNamespace(catalog=SimpleNamespace(view=View()))
    sockets = EventSockets(node, secrets=None, leases=Leases())  # type: ignore[arg-type]  # nothing here needs them
    connection: Any = Connection()
    sockets._sockets.add(connection)

    sockets.start()
    async with asyncio.timeout(10):
        await connection.closed.wait()
    await sockets.stop()

    assert connection.codes[0] == DELETED
