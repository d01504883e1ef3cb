"""The event service's websockets, where nothing but their own code is needed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from families.event_service.delivery import socket
from families.event_service.delivery.socket import DELETED, EventSockets

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
    monkeypatch.setattr(socket, "_LOOK_AGAIN", 0.0)
    node: Any = SimpleNamespace(catalog=SimpleNamespace(view=View()))
    sockets = EventSockets(node, secrets=None, leases=Leases())  # type: ignore[arg-type]  # nothing here needs them
    connection: Any = Connection()
    sockets._sockets.add(connection)

    sockets.start()
    async with asyncio.timeout(10):
        await connection.closed.wait()
    await sockets.stop()

    assert connection.codes[0] == DELETED


class Hub:
    """One channel with a long history."""

    def __init__(self) -> None:
        self.history = [SimpleNamespace(number=number) for number in range(1, 10_001)]

    def channel(self, _: bytes) -> Any:
        return self

    def body(self, publication: Any) -> bytes:
        return b'{"data":{"id":"%d"},"offset":1}' % publication.number

    def forget_unused(self, _: object) -> None:
        """It has a history."""


async def test_many_searches_of_one_workspace_give_way_to_others() -> None:
    sockets = EventSockets(SimpleNamespace(hub=Hub()), None, None)  # type: ignore[arg-type]  # doubles
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(other())
    searches = [asyncio.create_task(sockets._number_of(b"c", "unknown", "w")) for _ in range(20)]
    found = await asyncio.gather(*searches, sockets._number_of(b"c", "10", "v"), return_exceptions=True)
    waiting.cancel()
    assert found.pop() == 10
    assert all(isinstance(each, web.HTTPGone) for each in found)
    # They come one after the other, each in twenty parts.
    assert turns >= 20 * 20
