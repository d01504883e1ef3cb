"""Events of one realtime channel, by Centrifugo's SDK."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

import msgspec

from operations.errors import CannotStart, Unreachable

try:
    from centrifuge import Client, ClientEventHandler
except ImportError as error:
    raise CannotStart("Listening needs: pip install 'headrace[tour]'") from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from centrifuge import DisconnectedContext, ServerPublicationContext

_CONNECT_TIMEOUT = 15.0
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class _ExactJson:
    """The SDK's codec, but for numbers: they stay as they were written, so that a body can be sent on as it came."""

    @staticmethod
    def encode_commands(commands: Any) -> str:
        return "\n".join(json.dumps(command) for command in commands)

    @staticmethod
    def decode_replies(data: str) -> list[Any]:
        return [json.loads(reply, parse_float=Decimal) for reply in data.strip().split("\n")]


class EventStream(ClientEventHandler):  # type: ignore[misc]  # the SDK's base class is untyped
    """Connected for as long as the context is open; after a lost connection it goes on where it was.

    Args:
        url: of the realtime node.
        token: gets a connection token, which names the channel.
        take: called with each event, as the JSON that a webhook would have; the next one waits for it.
    """

    def __init__(
        self, url: str, token: Callable[[], Awaitable[str]], take: Callable[[dict[str, Any], bytes], Awaitable[None]]
    ) -> None:
        self._url = url
        self._client = Client(url, events=self, get_token=token)
        self._client._codec = _ExactJson()  # noqa: SLF001  # the SDK has no option for it
        self._take = take
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        await self._client.connect()
        try:
            await self._client.ready(_CONNECT_TIMEOUT)
        except Exception as error:
            await self._client.disconnect()
            raise Unreachable(self._url) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.disconnect()

    async def ended(self) -> str:
        """Why the server ended the connection for good, once it has."""
        return await self._ended

    async def on_publication(self, context: ServerPublicationContext) -> None:
        """The SDK calls this for every event."""
        await self._take(context.pub.data, _ENCODER.encode(context.pub.data))

    async def on_disconnected(self, context: DisconnectedContext) -> None:
        """The SDK calls this when it will not connect again."""
        if not self._ended.done():
            self._ended.set_result(f"{context.code} {context.reason}")
