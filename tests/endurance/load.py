"""Events sent through several API families at a steady rate, and what the gateway answered to each.

Each event carries a token in its data, by which it is found again wherever it arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any

import aiohttp

from operations.tour.eventhos import EVERYTHING, EventhosApi, family_client, token
from operations.tour.exchange import ExchangeApi, exchange_client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from operations.api.client import OwnApi

TOKEN = re.compile(rb"load-[a-z]+-\d{7}")

_TIMEOUT = aiohttp.ClientTimeout(total=20)
_REPEAT_FOR = 120.0
"""Seconds for which a keyed event that was refused is repeated."""
_CREATED = range(200, 300)
BATCH = 5


class Sender(ABC):
    """One way to publish.

    Attributes:
        name: in lower case; it is part of each token.
        namespace, code: of the event type.
        keyed: whether the same event may be sent again, because a key tells that it is the same.
    """

    name: str
    namespace: str
    code: str
    keyed = False

    def __init__(self, api: OwnApi, session: aiohttp.ClientSession) -> None:
        self.api = api
        self.session = session
        self._numbers = itertools.count(1)

    @abstractmethod
    async def prepare(self) -> None:
        """Create the client, the event type and whatever else this family needs."""

    def tokens(self) -> list[str]:
        """Tokens of the events that the next request carries."""
        return [f"load-{self.name}-{next(self._numbers):07}"]

    @abstractmethod
    async def post(self, tokens: Sequence[str]) -> int:
        """Send one request with these events; the status of its answer."""

    async def send(self, url: str, **options: Any) -> int:
        """POST a request; the status of its answer."""
        async with self.session.post(f"{self.api.url}{url}", timeout=_TIMEOUT, **options) as answer:
            await answer.read()
            return answer.status


class Own(Sender):
    """CloudEvents in binary mode, without a key."""

    name, namespace, code = "own", "events", "LoadOwn"

    async def prepare(self) -> None:
        await self.api.post("/event-types", {"code": self.code, "open": True})
        client = await self.api.post("/clients", {"name": f"load {self.name}", "roles": ["producer"]})
        self.headers = {
            "Authorization": f"Bearer {await self.api.new_key(client['id'])}",
            "ce-specversion": "1.0",
            "ce-type": self.code,
            "ce-source": "/load",
        }
        registration = {"code": self.code, "open": True}
        await self.send("/headrace/v1/registrations", json=registration, headers=self.headers)

    async def post(self, tokens: Sequence[str]) -> int:
        headers = {**self.headers, "ce-id": f"id-{tokens[0]}"[::-1]}
        return await self.send("/headrace/v1/events", json={"token": tokens[0]}, headers=headers | self.key(tokens[0]))

    def key(self, token: str) -> dict[str, str]:
        """Headers that tell a repeated request."""
        del token
        return {}


class Keyed(Own):
    """The same with an idempotency key; a request that is not answered 2xx is repeated until it is."""

    name, code, keyed = "keyed", "LoadKeyed", True

    def key(self, token: str) -> dict[str, str]:
        return {"Idempotency-Key": token}


class Batch(Own):
    """Several CloudEvents in one request."""

    name, code = "batch", "LoadBatch"

    def tokens(self) -> list[str]:
        return [*itertools.chain.from_iterable(super(Batch, self).tokens() for _ in range(BATCH))]

    async def post(self, tokens: Sequence[str]) -> int:
        events = [
            {
                "specversion": "1.0",
                "type": self.code,
                "source": "/load",
                "id": f"id-{each}"[::-1],
                "data": {"token": each},
            }
            for each in tokens
        ]
        headers = {
            "Authorization": self.headers["Authorization"],
            "Content-Type": "application/cloudevents-batch+json",
        }
        return await self.send("/headrace/v1/events", json=events, headers=headers)


class Crmls(Sender):
    """The CRMLS family."""

    name, namespace, code = "crmls", "crmls", "LoadOffer"

    async def prepare(self) -> None:
        await self.api.post("/event-types", {"namespace": self.namespace, "code": self.code, "open": True})
        client = await self.api.post("/clients", {"name": "load crmls", "realm": "crmls", "roles": ["producer"]})
        key = await self.api.new_key(client["id"])
        async with self.session.post(f"{self.api.url}/api/token", params={"apiKey": key}) as answer:
            self.headers = {"Authorization": f"Bearer {(await answer.json())['token']}"}

    async def post(self, tokens: Sequence[str]) -> int:
        body = {
            "eventName": "Offer",
            "eventTime": "2021-03-04T16:36:54.591Z",
            "messageType": self.code,
            "message": {"token": tokens[0]},
        }
        return await self.send("/api/app/events", json=body, headers=self.headers)


class Exchange(Sender):
    """The Exchange family."""

    name, namespace, code = "exchange", "exchange", "loadView"

    async def prepare(self) -> None:
        publisher = await exchange_client(self.api, "LOAD", roles=["producer"])
        self.headers = {"Authorization": f"Bearer {publisher['key']}"}
        calls = ExchangeApi(self.session, self.api.url, publisher["key"])
        await calls.put_endpoint(publisher["name"], source=True, identifiers=("cookieId",))
        await calls.register(self.code, attributes=[{"name": "token", "type": "String"}])

    async def post(self, tokens: Sequence[str]) -> int:
        event = {
            "code": self.code,
            "timestamp": "2015-02-28T20:16:12Z",
            "attributes": [{"name": "token", "value": tokens[0], "type": "String"}],
        }
        body = {"channel": "Web", "identifiers": [{"name": "cookieId", "value": "c"}], "events": [event]}
        return await self.send("/v1/event", json=body, headers=self.headers)


class Eventhos(Sender):
    """The eventhos family."""

    name, namespace = "eventhos", "eventhos"

    async def prepare(self) -> None:
        manager = await family_client(self.api, self.session, "LOAD", [EVERYTHING])
        calls = EventhosApi(self.session, self.api.url, manager["key"])
        made = await calls.post("/auth/client", identifier="load", name="load", roles=[])
        tokens = await token(self.session, self.api.url, made["clientId"], made["clientSecret"])
        self.headers = {"access-key": tokens["jwt_token"]}
        system = await calls.create(
            "/system", identifier="load", name="load", type="load", systemClass="hybrid", clientId=made["id"]
        )
        await calls.create("/event", system_id=system, identifier="load", name="load", operation="new")
        found = await calls.find("/event", "name", "load") or {}
        self.code = found["identifier"]

    async def post(self, tokens: Sequence[str]) -> int:
        query = {"event-identifier": self.code}
        return await self.send("/event/send", params=query, headers=self.headers, json={"token": tokens[0]})


SENDERS = (Own, Keyed, Batch, Crmls, Exchange, Eventhos)


class Load:
    """Sends until it is stopped.

    Args:
        senders: take turns.
        rate: requests a second.

    Attributes:
        accepted: token to when its request was answered 2xx.
        refused: tokens whose request was answered otherwise, or not at all.
        answers: sender and status, or error, to how often.
        server_errors: statuses of 500 and above other than 503.
    """

    def __init__(self, senders: Sequence[Sender], rate: float) -> None:
        self._senders = senders
        self._rate = rate
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.accepted: dict[str, float] = {}
        self.refused: set[str] = set()
        self.answers: Counter[str] = Counter()

    async def run(self) -> None:
        """Send, at the rate whatever the answers take; returns once all requests have ended after ``stop``."""
        due = time.monotonic()
        for sender in itertools.cycle(self._senders):
            if self._stopping:
                break
            task = asyncio.create_task(self._one(sender))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            due += 1 / self._rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        if self._tasks:
            await asyncio.wait(self._tasks)

    def stop(self) -> None:
        """Send nothing new. Keyed events that were refused are still repeated."""
        self._stopping = True

    async def _one(self, sender: Sender) -> None:
        tokens = sender.tokens()
        deadline = time.monotonic() + _REPEAT_FOR
        pause = 0.2
        while True:
            if await self._accepts(sender, tokens):
                self.accepted.update(dict.fromkeys(tokens, time.monotonic()))
                return
            if not sender.keyed or time.monotonic() > deadline:
                self.refused.update(tokens)
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)

    async def _accepts(self, sender: Sender, tokens: Sequence[str]) -> bool:
        try:
            status = await sender.post(tokens)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.answers[f"{sender.name} {type(error).__name__}"] += 1
            return False
        self.answers[f"{sender.name} {status}"] += 1
        return status in _CREATED


async def patiently(call: Callable[[], Awaitable[Any]], seconds: float = 30.0) -> Any:
    """The result of a call that may fail while something is away."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Exception):
            return await call()
        if time.monotonic() > deadline:
            return await call()
        await asyncio.sleep(0.5)
