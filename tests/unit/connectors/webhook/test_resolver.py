"""Names that are slow to look up, on the event loop that the connectors run on."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from connectors.webhook.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ADDRESS = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 80))


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Names that begin with ``slow`` are not looked up before this is set."""
    answered = threading.Event()

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[Any]:
        if host.startswith("slow"):
            answered.wait(30)
        if host.startswith("no"):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [ADDRESS]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return answered


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await work()

    uvloop.run(bounded())


def test_a_name_server_that_does_not_answer_holds_up_no_other_name(silence: threading.Event) -> None:
    async def work() -> None:
        resolver = Resolver()
        slow = [asyncio.create_task(resolver.resolve(f"slow-{number}", 80)) for number in range(40)]
        (found,) = await resolver.resolve("fast", 80)
        assert (found["hostname"], found["host"], found["port"]) == ("fast", "192.0.2.7", 80)
        assert not any(task.done() for task in slow)
        silence.set()
        await asyncio.gather(*slow)

    run(work)


def test_no_more_names_are_looked_up_at_once_than_may_be_even_if_nobody_waits_for_them(
    silence: threading.Event,
) -> None:
    async def work() -> None:
        resolver = Resolver(at_once=2)
        given_up = [asyncio.create_task(resolver.resolve(f"slow-{number}", 80)) for number in range(2)]
        await asyncio.sleep(0)
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        later = asyncio.create_task(resolver.resolve("fast", 80))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not later.done()
        silence.set()
        assert await later

    run(work)


def test_an_unknown_name_is_an_os_error(silence: threading.Event) -> None:
    async def work() -> None:
        with pytest.raises(OSError, match="unknown"):
            await Resolver().resolve("no-such-host", 80)

    run(work)


@pytest.mark.parametrize("host", ["\udcff", "a" * 64 + ".example"])
def test_what_cannot_be_a_name_is_an_os_error(host: str) -> None:
    async def work() -> None:
        with pytest.raises(OSError, match="is no host name"):
            await Resolver().resolve(host, 80)

    run(work)
