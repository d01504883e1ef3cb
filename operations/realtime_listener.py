"""An application that listens on a WebSocket with Centrifugo's own SDK, and knows nothing of Headrace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from centrifuge import Client, ClientEventHandler

from operations.errors import TourFailed

if TYPE_CHECKING:
    from types import TracebackType

    from centrifuge import ServerPublicationContext

_CONNECT_TIMEOUT = 15.0


class RealtimeListener(ClientEventHandler):  # type: ignore[misc]  # the SDK's base class is untyped
    """Connected for as long as the context is open, to the channels that its connection token names."""

    def __init__(self, url: str, token: str) -> None:
        self._client = Client(url, events=self, token=token)
        self._arrivals: dict[str, dict[str, Any]] = {}
        self._came = asyncio.Condition()

    async def __aenter__(self) -> Self:
        await self._client.connect()
        try:
            await self._client.ready(_CONNECT_TIMEOUT)
        except Exception as error:
            await self._client.disconnect()
            raise TourFailed(f"The tour failed: the WebSocket client could not connect: {error!r}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.disconnect()

    async def on_publication(self, context: ServerPublicationContext) -> None:
        """The SDK calls this for every message."""
        async with self._came:
            self._arrivals[context.pub.data["id"]] = context.pub.data
            self._came.notify_all()

    async def arrivals(self, ids: set[str], timeout: float) -> dict[str, dict[str, Any]]:  # noqa: ASYNC109 - it returns what came
        """What came, by event id, once all of ``ids`` have or ``timeout`` seconds have passed."""
        try:
            async with asyncio.timeout(timeout), self._came:
                await self._came.wait_for(lambda: ids <= self._arrivals.keys())
        except TimeoutError:
            pass
        return dict(self._arrivals)
