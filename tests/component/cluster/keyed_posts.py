"""Posts events with idempotency keys to a gateway, many at once, and times the answers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from typing import TYPE_CHECKING, NamedTuple

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from tests.support.running_gateway import RunningGateway

_LEAST = 2
_STRUCTURED = {"content-type": "application/cloudevents+json"}


class Answer(NamedTuple):
    """``seconds`` is how long it took."""

    key: str
    status: int
    seconds: float
    body: str


class KeyedPosts:
    """Events of one type. Use it as ``async with``, which measures meanwhile how late anything is answered.

    Args:
        gateway: takes them.
        api_key: of the producer.
        code: of a type that takes any data.
    """

    def __init__(self, gateway: RunningGateway, api_key: str, code: str) -> None:
        self._url = gateway.url
        self._headers = {"authorization": f"Bearer {api_key}"}
        self._code = code
        self.lateness = 0.0
        """The longest that an answer took which needs no Kafka: seconds that the machine, and not we, were slow."""

    @contextlib.asynccontextmanager
    async def at_once(self, most: int) -> AsyncIterator[KeyedPosts]:
        """Have so many connections at most, and know the lateness until the end of the block."""
        connector = aiohttp.TCPConnector(limit=most + 2)
        timeout = aiohttp.ClientTimeout(60)
        async with aiohttp.ClientSession(
            self._url, headers=self._headers, connector=connector, timeout=timeout
        ) as self._http:
            looking = asyncio.create_task(self._look())
            try:
                yield self
            finally:
                looking.cancel()

    async def post(self, key: str) -> Answer:
        """One event under a key."""
        event = {"specversion": "1.0", "type": self._code, "data": {"key": key}}
        began = time.monotonic()
        async with self._http.post(
            "/headrace/v1/events", json=event, headers={**_STRUCTURED, "Idempotency-Key": key}
        ) as answer:
            body = await answer.text()
            return Answer(key, answer.status, time.monotonic() - began, body)

    async def repeat(self, keys: Iterable[str], seconds: float) -> list[Answer]:
        """Post all keys at once, each again and again, for so many seconds and at least twice."""
        ends = time.monotonic() + seconds

        async def again(key: str) -> list[Answer]:
            answers = []
            while len(answers) < _LEAST or time.monotonic() < ends:
                answers.append(await self.post(key))
            return answers

        return list(itertools.chain.from_iterable(await asyncio.gather(*map(again, keys))))

    async def is_ready(self) -> bool:
        """Whether the gateway says that it can do its work."""
        async with self._http.get("/readyz") as answer:
            return answer.status == 200

    async def until_ready(self, *, ready: bool, seconds: float) -> None:
        """Wait until the gateway says so."""
        deadline = time.monotonic() + seconds
        while await self.is_ready() is not ready:
            assert time.monotonic() < deadline, f"/readyz does not say {ready} after {seconds:g} s"
            await asyncio.sleep(0.1)

    async def _look(self) -> None:
        while True:
            began = time.monotonic()
            async with self._http.get("/healthz"):
                self.lateness = max(self.lateness, time.monotonic() - began)
            await asyncio.sleep(0.05)
