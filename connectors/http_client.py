"""The HTTP client of the connectors: one request, one answer, within hard bounds of time and size.

It never follows a redirect, connects only where the guard permits, keeps no cookies, obeys no proxy variables, and
does not unpack what it receives.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from connectors.destinations import ForbiddenDestination
from connectors.schedule import parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.destinations import DestinationGuard

log = logging.getLogger(__name__)

_DNS_CACHE = 30
"""Seconds."""

_CHUNK = 16_384


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request: a status, or an error that says why there is none.

    Attributes:
        status: the HTTP status, None when no complete answer came.
        error: a sentence for the operator, None when there is a status.
        body: the first bytes of the response as text.
        retry_after: seconds that the receiver asks to wait.
        duration: seconds from connect to the last byte read.
        forbidden: the guard refused the address; nothing was sent.
    """

    status: int | None = None
    error: str | None = None
    body: str | None = None
    retry_after: float | None = None
    duration: float
    forbidden: bool = False


class HttpClient:
    """Sends requests; every failure is an ``Answer``, so that the caller has one path.

    Args:
        guard: which addresses may be connected to.
        body_limit: most bytes of a response that are read; the rest is left unread and the connection closed.
        user_agent: the ``User-Agent`` header.
    """

    def __init__(self, guard: DestinationGuard, *, body_limit: int, user_agent: str = "Headrace-Webhook/1") -> None:
        self._guard = guard
        self._body_limit = body_limit
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool on the running event loop."""
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # the lanes bound what is in flight
                ttl_dns_cache=_DNS_CACHE,
                socket_factory=self._guard.connect_socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            auto_decompress=False,
            headers={"User-Agent": self._user_agent},
            trace_configs=[trace],
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:  # noqa: ASYNC109  # a bound on the exchange, part of the answer
        """Make one request; ``timeout`` seconds cover everything from name resolution to the last body byte."""
        started = time.monotonic()
        forbidden = False
        try:
            async with asyncio.timeout(timeout):
                status, text, retry_after = await self._exchange(method, url, headers, body)
        except TimeoutError:
            error = f"no complete answer within {timeout:g} s"
        except aiohttp.ClientConnectorError as failure:
            forbidden = isinstance(failure.os_error, ForbiddenDestination)
            error = str(failure.os_error) if forbidden else f"cannot connect: {failure}"
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            # ValueError: a URL or header that cannot be sent.
            error = f"{type(failure).__name__}: {failure}"
        except Exception as failure:  # a try that failed in a way nobody thought of must still be a try
            log.exception("a request failed unexpectedly")
            error = f"{type(failure).__name__}: {failure}"
        else:
            duration = time.monotonic() - started
            return Answer(status=status, body=text, retry_after=retry_after, duration=duration)
        return Answer(error=error, duration=time.monotonic() - started, forbidden=forbidden)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str, float | None]:
        reuse = {"reused": False}
        try:
            return await self._request(method, url, headers, body, reuse)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # The receiver closed an idle connection just as it was used again. That says nothing about the receiver,
            # so it is no failed attempt; a new connection tells.
            if not reuse["reused"]:
                raise
            return await self._request(method, url, {**headers, "Connection": "close"}, body, reuse)

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, reuse: dict[str, bool]
    ) -> tuple[int, str, float | None]:
        if self._session is None:
            raise aiohttp.ClientConnectionError("the client is not started")
        async with self._session.request(
            method, url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=reuse
        ) as response:
            text = await self._read(response)
            return response.status, text, parse_retry_after(response.headers.get("Retry-After"), time.time())

    async def _read(self, response: aiohttp.ClientResponse) -> str:
        kept = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            kept += chunk
            if len(kept) >= self._body_limit:
                response.close()
                break
        return bytes(kept[: self._body_limit]).decode(errors="replace")


async def _note_reuse(_session: aiohttp.ClientSession, context: Any, _params: Any) -> None:
    context.trace_request_ctx["reused"] = True
