"""A webhook receiver as a subscriber would write one: it believes only what is signed.

It is also the system that an eventhos contract calls, which has an address for each of its accounts.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from operations.tour.expectations import Arrivals

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Call:
    """One request for an account.

    Attributes:
        method: of the request.
        query: its parameters.
        headers: in lower case.
        body: the body's JSON.
    """

    method: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Receiver:
    """A server on this machine for as long as the context is open; answers 204, or 401 to a wrong signature.

    Attributes:
        secret: ``whsec_…`` of the endpoint; set once the endpoint has been created.
    """

    def __init__(self) -> None:
        self.secret = ""
        self._arrivals: Arrivals[Arrival] = Arrivals()
        self._calls: Arrivals[Call] = Arrivals()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where to send webhooks."""
        return f"http://127.0.0.1:{self._port}/offers"

    @property
    def accounts_url(self) -> str:
        """Where accounts are; an account's name follows after a slash."""
        return f"http://127.0.0.1:{self._port}/accounts"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/offers", self._receive)
        app.router.add_route("*", "/accounts/{name}", self._answer_call)
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
        return await self._arrivals.wait(ids, timeout)

    async def call(self, account: str, timeout: float) -> Call | None:  # noqa: ASYNC109 - it returns what came
        """The last request for an account; None if ``timeout`` seconds have passed without one."""
        return (await self._calls.wait({account}, timeout)).get(account)

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
        await self._arrivals.add(event["id"], arrival)
        return web.Response(status=204 if verified else 401)

    async def _answer_call(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        headers = {key.lower(): value for key, value in request.headers.items()}
        body = json.loads(await request.read())
        call = Call(method=request.method, query=dict(request.query), headers=headers, body=body)
        await self._calls.add(name, call)
        return web.json_response({"account": name}, status=201)
