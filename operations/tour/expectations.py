"""What has come to a receiver so far, for the tour to wait for."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Arrivals(Generic[T]):
    """Things that came, each under a name; the last one of a name is kept."""

    def __init__(self) -> None:
        self._arrived: dict[str, T] = {}
        self._came = asyncio.Condition()

    async def add(self, name: str, arrival: T) -> None:
        """Something came."""
        async with self._came:
            self._arrived[name] = arrival
            self._came.notify_all()

    async def wait(self, names: set[str], timeout: float) -> dict[str, T]:  # noqa: ASYNC109 - it returns what came
        """What came, by name, once all of ``names`` have or ``timeout`` seconds have passed."""
        try:
            async with asyncio.timeout(timeout), self._came:
                await self._came.wait_for(lambda: names <= self._arrived.keys())
        except TimeoutError:
            pass
        return dict(self._arrived)
