"""The receiver over real sockets: each kind of answer as the sender sees it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp
import pytest
from standardwebhooks.webhooks import Webhook

from operations.errors import CannotStart, WrongUsage
from operations.receiver.server import Arrival, ScriptedReceiver
from operations.receiver.signatures import Verifier
from operations.receiver.steps import Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = "whsec_" + base64.b64encode(b"fedcba9876543210fedcba9876543210").decode()
BODY = '{"id":"event-1","total":125.50}'


class Sender:
    """Posts to one receiver, whose arrivals it has."""

    def __init__(self, session: aiohttp.ClientSession, receiver: ScriptedReceiver, arrivals: list[Arrival]) -> None:
        self.session, self.receiver, self.arrivals = session, receiver, arrivals

    def post(self, *, secret: str | None = None, timeout: float = 10) -> aiohttp.client._RequestContextManager:
        now = datetime.now(UTC)
        headers = {"webhook-id": "delivery-1", "webhook-timestamp": str(int(now.timestamp()))}
        if secret is not None:
            headers["webhook-signature"] = Webhook(secret).sign("delivery-1", now, BODY)
        total = aiohttp.ClientTimeout(total=timeout)
        url = f"{self.receiver.url}hooks?a=b"
        return self.session.post(url, data=BODY, headers=headers, timeout=total, allow_redirects=False)


@contextlib.asynccontextmanager
async def sender(script: str, secret: str | None = None) -> AsyncIterator[Sender]:
    arrivals: list[Arrival] = []
    verifier = None if secret is None else Verifier(secret)
    running = ScriptedReceiver(Script(script), host="127.0.0.1", port=0, verifier=verifier, on_arrival=arrivals.append)
    async with running, aiohttp.ClientSession() as session:
        yield Sender(session, running, arrivals)


async def test_statuses_and_headers_in_the_order_of_the_script() -> None:
    async with sender("429:30,redirect:http://127.0.0.1:1/,gone,204") as to:
        answers = []
        for _ in range(5):
            async with to.post() as answer:
                answers.append((answer.status, answer.headers.get("Retry-After"), answer.headers.get("Location")))
    assert answers == [
        (429, "30", None),
        (302, None, "http://127.0.0.1:1/"),
        (410, None, None),
        (204, None, None),
        (204, None, None),
    ]


async def test_what_arrived_is_told_as_it_came() -> None:
    async with sender("204") as to, to.post():
        pass
    (arrival,) = to.arrivals
    assert (arrival.number, arrival.method, arrival.target) == (1, "POST", "/hooks?a=b")
    assert (arrival.headers["webhook-id"], arrival.body.decode()) == ("delivery-1", BODY)
    assert (arrival.signature, arrival.answer) == ("unchecked", "204")


async def test_a_reset_is_no_answer() -> None:
    async with sender("reset,204") as to:
        with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
            await to.post()
        async with to.post() as answer:
            assert answer.status == 204


async def test_one_that_hangs_answers_late_or_never() -> None:
    async with sender("hang:0.2,hang") as to:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with to.post() as answer:
            assert answer.status == 200
        assert loop.time() - began >= 0.2
        with pytest.raises(TimeoutError):
            await to.post(timeout=0.2)


async def test_one_that_drips_never_ends() -> None:
    async with sender("drip:0.01") as to, to.post() as answer:
        assert answer.status == 200
        assert await answer.content.readexactly(3) == b"..."


async def test_only_what_is_signed_rightly_takes_a_step_of_the_script() -> None:
    async with sender("500,204", SECRET) as to:
        statuses = []
        for secret in (None, OTHER, SECRET, SECRET):
            async with to.post(secret=secret) as answer:
                statuses.append(answer.status)
    assert statuses == [401, 401, 500, 204]
    assert [(each.signature, each.answer) for each in to.arrivals] == [
        ("missing", "401"),
        ("wrong", "401"),
        ("valid", "500"),
        ("valid", "204"),
    ]


async def test_a_port_that_is_taken_is_told_with_the_way_out() -> None:
    async with sender("204") as to:
        port = int(to.receiver.url.rsplit(":", 1)[1].strip("/"))
        second = ScriptedReceiver(
            Script("204"), host="127.0.0.1", port=port, verifier=None, on_arrival=to.arrivals.append
        )
        with pytest.raises(CannotStart, match=r"in use\. Choose another --port\.$"):
            await second.__aenter__()


def test_a_secret_that_is_none() -> None:
    with pytest.raises(WrongUsage, match="whsec_"):
        Verifier("whsec_")
