"""Sends copies of events to a server, signed as webhooks are."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from connectors.shared.cloudevents import CONTENT_TYPE
from connectors.webhook.signing import signature_headers, signing_key
from schemas.model.endpoint import HIDDEN
from schemas.model.ids import derived

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_AT_ONCE = 16
_TIMEOUT = aiohttp.ClientTimeout(total=30)


class Forwarded(msgspec.Struct, frozen=True, kw_only=True):
    """One copy, and how it was answered.

    Attributes:
        webhook_id: the same for a repeat of the event.
        id, type, source: of the event.
        status: of the answer; None without one.
        error: why there is none.
        duration: seconds.
    """

    webhook_id: str
    id: str
    type: str
    source: str
    status: int | None
    error: str | None
    duration: float


class Forwarder:
    """Posts events; at most 16 at once, each is tried once.

    Args:
        session: for the requests.
        url: where they go.
        endpoint: that is copied, as the API shows it; its method and headers are used, but for hidden ones.
        secret: ``whsec_…`` that copies are signed with.
        show: called with each copy once it was answered.

    Raises:
        Misconfigured: the secret is none.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        endpoint: Mapping[str, Any],
        secret: str,
        show: Callable[[Forwarded], None],
    ) -> None:
        self._session = session
        self._url = url
        self._method = endpoint.get("method", "POST")
        headers = {name: value for name, value in endpoint.get("headers", {}).items() if value != HIDDEN}
        self._headers = {"Content-Type": CONTENT_TYPE, **headers}
        self._name = endpoint.get("id", "")
        self._key = signing_key(secret)
        self._show = show
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._sending: set[asyncio.Task[None]] = set()

    async def take(self, event: dict[str, Any], body: bytes) -> None:
        """Begin to send a copy; waits while too many are under way."""
        await self._places.acquire()
        task = asyncio.create_task(self._send(event, body))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def finish(self) -> None:
        """Wait for copies that are under way."""
        await asyncio.gather(*self._sending)

    async def _send(self, event: dict[str, Any], body: bytes) -> None:
        webhook_id = derived("listen", self._name, str(event.get("source")), str(event.get("id")))
        headers = self._headers | signature_headers([self._key], webhook_id, int(time.time()), body)
        status, error, began = None, None, time.monotonic()
        try:
            async with self._session.request(
                self._method, self._url, data=body, headers=headers, allow_redirects=False, timeout=_TIMEOUT
            ) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as problem:
            error = str(problem) or "no answer within 30 seconds"
        finally:
            self._places.release()
        self._show(
            Forwarded(
                webhook_id=webhook_id,
                id=str(event.get("id")),
                type=str(event.get("type")),
                source=str(event.get("source")),
                status=status,
                error=error,
                duration=time.monotonic() - began,
            )
        )
