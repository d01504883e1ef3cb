"""A webhook receiver whose answers each test sets, and that remembers what it got."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

Answering = Callable[[web.Request, int], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Received:
    """One request; ``at`` in monotonic seconds, ``target`` is path and query as they came."""

    at: float
    method: str
    headers: dict[str, str]
    body: bytes
    target: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Mailbox:
    """What one path got, and how it answers: a list of statuses, the last one for good, or a function."""

    url: str
    answers: list[int] = field(default_factory=lambda: [204])
    headers: dict[str, str] = field(default_factory=dict)
    answering: Answering | None = None
    received: list[Received] = field(default_factory=list)

    def wait(self, count: int = 1, timeout: float = 120) -> list[Received]:
        """What came, as soon as it is at least ``count`` requests."""
        deadline = time.monotonic() + timeout
        while len(self.received) < count:
            assert time.monotonic() < deadline, f"{len(self.received)} of {count} requests came to {self.url}"
            time.sleep(0.02)
        return list(self.received)


class Receiver:
    """An HTTP server on a thread of its own."""

    def __init__(self) -> None:
        self._mailboxes: dict[str, Mailbox] = {}
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port = 0

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(60)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def mailbox(self, name: str) -> Mailbox:
        return self._mailboxes.setdefault(f"/{name}", Mailbox(self.url(name)))

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_route("*", "/{name:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.port = runner.addresses[0][1]
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        mailbox = self._mailboxes.get(request.path)
        if mailbox is None:
            return web.Response(status=404)
        body = await request.read()
        mailbox.received.append(
            Received(
                at=time.monotonic(),
                method=request.method,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=body,
                target=request.path_qs,
            )
        )
        number = len(mailbox.received)
        if mailbox.answering is not None:
            return await mailbox.answering(request, number)
        status = mailbox.answers[min(number, len(mailbox.answers)) - 1]
        return web.Response(status=status, headers=mailbox.headers, text=None if status == 204 else f"answer {number}")
