"""A webhook receiver as a subscriber would write one: it believes only what is signed."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

if TYPE_CHECKING:
    from types import TracebackType


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrival:
    """One request that came.

    Attributes:
        webhook_id: the ``webhook-id`` header.
        verified: whether the signature is right, by the Standard Webhooks library.
        text: the body as it came.
        event: the body's JSON.
    """

    webhook_id: str
    verified: bool
    text: str
    event: dict[str, Any]


class Receiver:
    """A server on this machine for as long as the context is open; answers 204, or 401 to a wrong signature.

    Attributes:
        secret: ``whsec_…`` of the endpoint; set once the endpoint has been created.
    """

    def __init__(self) -> None:
        self.secret = ""
        self._arrivals: dict[str, Arrival] = {}
        self._came = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where to send."""
        return f"http://127.0.0.1:{self._port}/offers"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/offers", self._receive)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def arrivals(self, ids: set[str], timeout: float) -> dict[str, Arrival]:  # noqa: ASYNC109 - it returns what came
        """What came, by event id, once all of ``ids`` have or ``timeout`` seconds have passed."""
        try:
            async with asyncio.timeout(timeout), self._came:
                await self._came.wait_for(lambda: ids <= self._arrivals.keys())
        except TimeoutError:
            pass
        return dict(self._arrivals)

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            Webhook(self.secret).verify(body, dict(request.headers))
            verified = True
        except WebhookVerificationError:
            verified = False
        text = body.decode()
        event = json.loads(text)
        arrival = Arrival(webhook_id=request.headers.get("webhook-id", ""), verified=verified, text=text, event=event)
        async with self._came:
            self._arrivals[event["id"]] = arrival
            self._came.notify_all()
        return web.Response(status=204 if verified else 401)
