"""The receiver itself: takes whatever comes, says whether it was signed rightly, and answers as its script says."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import socket
import struct
from typing import TYPE_CHECKING, Self

from aiohttp import web
from yarl import URL

from operations.errors import CannotStart
from schemas.model import timestamps

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from operations.receiver.signatures import Verifier
    from operations.receiver.steps import Script, Step

_RESET = struct.pack("ii", 1, 0)
"""``SO_LINGER`` of no seconds: closing resets the connection."""

_LAST_ANSWERS = 0.5
"""Seconds that answers get to be sent when the receiver ends."""

_MAX_BODY = 64 * 1024 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrival:
    """One request that came.

    Attributes:
        number: counted from 1.
        at: when, in RFC 3339.
        method, target: of its first line.
        headers: in lower case.
        body: as it came.
        signature: ``valid``, ``missing``, ``wrong``, or ``unchecked`` without a secret.
        answer: the step of the script, or 401 for a signature that is missing or wrong.
    """

    number: int
    at: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    signature: str
    answer: str


class ScriptedReceiver:
    """A server for as long as the context is open.

    Args:
        script: of its answers; requests that are not signed rightly are answered 401 and take no step.
        host, port: to listen on; port 0 is any that is free.
        verifier: of signatures; None checks none.
        on_arrival: called for each request, before it is answered.
    """

    def __init__(
        self, script: Script, *, host: str, port: int, verifier: Verifier | None, on_arrival: Callable[[Arrival], None]
    ) -> None:
        self._script = script
        self._host, self._port = host, port
        self._verifier = verifier
        self._on_arrival = on_arrival
        self._count = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(URL.build(scheme="http", host=self._host, port=self._port, path="/"))

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        # A handler that hangs ends when the sender leaves, and soon when the receiver ends.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=_LAST_ANSWERS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise CannotStart(
                f"The receiver cannot listen at {self._host}:{self._port}: {error.strerror}. Choose another --port."
            ) from error
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        signature = "unchecked" if self._verifier is None else self._verifier.check(request.headers, body)
        step = self._script.next() if signature in {"unchecked", "valid"} else None
        self._count += 1
        self._on_arrival(
            Arrival(
                number=self._count,
                at=timestamps.to_text(timestamps.now()),
                method=request.method,
                target=request.path_qs,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=body,
                signature=signature,
                answer="401" if step is None else step.name,
            )
        )
        if step is None:
            return web.Response(status=401, text=f"the signature is {signature}\n")
        return await _answer(request, step)


async def _answer(request: web.Request, step: Step) -> web.StreamResponse:
    await _wait(step.wait)
    if step.status is None:
        transport = request.transport
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
        await asyncio.Event().wait()  # until the handler is cancelled: nothing is written
    headers = dict(step.headers)
    if step.drip is None:
        return web.Response(status=step.status or 500, headers=headers)
    response = web.StreamResponse(status=step.status or 500, headers=headers)
    await response.prepare(request)
    while True:
        await response.write(b".")
        await asyncio.sleep(step.drip)


async def _wait(seconds: float) -> None:
    if math.isinf(seconds):
        await asyncio.Event().wait()
    elif seconds:
        await asyncio.sleep(seconds)
