"""An application that listens on a WebSocket with Centrifugo's own SDK, and knows nothing of Headrace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from centrifuge import Client, ClientEventHandler

from operations.errors import TourFailed
from operations.tour.expectations import Arrivals

if TYPE_CHECKING:
    from types import TracebackType

    from centrifuge import ServerPublicationContext

_CONNECT_TIMEOUT = 15.0


class RealtimeListener(ClientEventHandler):  # type: ignore[misc]  # the SDK's base class is untyped
    """Connected for as long as the context is open, to the channels that its connection token names.

    Attributes:
        channels: the channel that each message came on, by event id.
    """

    def __init__(self, url: str, token: str) -> None:
        self._client = Client(url, events=self, token=token)
        self._arrivals: Arrivals[dict[str, Any]] = Arrivals()
        self.channels: dict[str, str] = {}

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
        event = context.pub.data
        self.channels[event["id"]] = context.channel
        await self._arrivals.add(event["id"], event)

    async def arrivals(self, ids: set[str], timeout: float) -> dict[str, dict[str, Any]]:  # noqa: ASYNC109 - it returns what came
        """What came, by event id, once all of ``ids`` have or ``timeout`` seconds have passed."""
        return await self._arrivals.wait(ids, timeout)
