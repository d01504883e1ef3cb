"""The HTTP client of the connectors: one request, one answer, within hard bounds of time and size.

It never follows a redirect, connects only where the guard permits, keeps no cookies, obeys no proxy variables, and
does not unpack what it receives.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from connectors.destinations import ForbiddenDestination
from connectors.names import Resolver
from connectors.schedule import parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.destinations import DestinationGuard

log = logging.getLogger(__name__)

_DNS_CACHE = 30
"""Seconds."""

_CHUNK = 16_384

_LONGEST_HEADER = 65_536
"""Bytes of one of the response's headers. A receiver that took the event must not get it again for its cookies."""

_LONGEST_ERROR = 500
"""Characters. An error may quote the receiver's answer."""

_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SENDABLE = "%/?:@!$&'()*+,;="
"""What stands for itself in a path or query besides letters, digits and ``-._~`` (RFC 3986 section 3.4)."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request: a status, or an error that says why there is none.

    Attributes:
        status: the HTTP status, None when no complete answer came.
        error: a sentence for the operator, None when there is a status.
        body: the first bytes of the response as text.
        retry_after: seconds that the receiver asks to wait.
        duration: seconds from connect to the last byte read.
        forbidden: the guard refused the address; nothing was sent.
        reason, headers: of the response.
        truncated: the response was longer than ``body``.
        execution: the sealed account of the exchange, where one is kept (``schemas.execution``).
    """

    status: int | None = None
    error: str | None = None
    body: str | None = None
    reason: str = ""
    headers: Mapping[str, str] = {}
    truncated: bool = False
    execution: str | None = None
    retry_after: float | None = None
    duration: float
    forbidden: bool = False


class _Sent(NamedTuple):
    """One request, and the bound on its response's body."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    body_limit: int


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
        self._fresh: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool on the running event loop."""
        resolver = Resolver()
        self._session = self._open(resolver, force_close=False)
        # Each request gets a connection of its own.
        self._fresh = self._open(resolver, force_close=True)

    def _open(self, resolver: Resolver, *, force_close: bool) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        connector = aiohttp.TCPConnector(
            limit=0,  # the lanes bound what is in flight
            resolver=resolver,
            ttl_dns_cache=_DNS_CACHE,
            socket_factory=self._guard.connect_socket,
            force_close=force_close,
        )
        reader: Callable[..., ResponseHandler] = _ResponseReader
        connector._factory = partial(reader, loop=asyncio.get_running_loop())  # noqa: SLF001  # there is no other way
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            auto_decompress=False,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            # What is compressed all the same is not unpacked.
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            trace_configs=[trace],
        )

    async def close(self) -> None:
        """Close all connections."""
        for session in (self._session, self._fresh):
            if session is not None:
                await session.close()
        self._session = self._fresh = None

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,  # noqa: ASYNC109  # a bound on the exchange, part of the answer
        *,
        body_limit: int | None = None,
    ) -> Answer:
        """Make one request; ``timeout`` seconds cover everything from name resolution to the last body byte.

        ``body_limit``, in bytes, is this response's instead of the client's.
        """
        started = time.monotonic()
        forbidden = False
        try:
            async with asyncio.timeout(timeout):
                answer = await self._exchange(_Sent(method, url, headers, body, body_limit or self._body_limit))
        except TimeoutError:
            error = f"no complete answer within {timeout:g} s"
        except aiohttp.ClientConnectorError as failure:
            cause = failure.os_error
            forbidden = isinstance(cause, ForbiddenDestination)
            why = cause.strerror or str(cause) or type(cause).__name__
            error = why if forbidden else f"cannot connect to {failure.host}:{failure.port}: {why}"
        except aiohttp.InvalidURL as failure:
            # What it says by itself has the URL in it, which may hold credentials; the next one's, too.
            error = f"the URL cannot be used: {failure.description or 'it is not one'}"
        except aiohttp.ClientResponseError as failure:
            error = f"the answer cannot be read: {' '.join(failure.message.split())}"
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            # ValueError: a URL or header that cannot be sent.
            error = f"{type(failure).__name__}: {failure}"
        except Exception as failure:  # a try that failed in a way nobody thought of must still be a try
            log.exception("a request failed unexpectedly")
            error = f"{type(failure).__name__}: {failure}"
        else:
            return msgspec.structs.replace(answer, duration=time.monotonic() - started)
        return Answer(error=error[:_LONGEST_ERROR], duration=time.monotonic() - started, forbidden=forbidden)

    async def _exchange(self, sent: _Sent) -> Answer:
        reuse = {"reused": False}
        try:
            return await self._request(self._session, sent, reuse)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not reuse["reused"]:
                raise
        # The receiver closed an idle connection just as it was used again. That says nothing about the receiver, so it
        # is no failed attempt. A new connection tells, and not the next idle one: a receiver that cannot stand the
        # event itself would get it again on each of them.
        return await self._request(self._fresh, sent, reuse)

    async def _request(self, session: aiohttp.ClientSession | None, sent: _Sent, reuse: dict[str, bool]) -> Answer:
        if session is None:
            raise aiohttp.ClientConnectionError("the client is not started")
        url = _as_written(sent.url)
        if any(name.lower() == "authorization" for name in sent.headers):
            url = url.with_user(None)  # two at once cannot be sent, and the header is the one that was asked for
        async with session.request(
            sent.method,
            url,
            # Bytes as they are would be wrapped in the same, after a search for what they could be.
            data=aiohttp.BytesPayload(sent.body),
            headers=sent.headers,
            allow_redirects=False,
            trace_request_ctx=reuse,
        ) as response:
            body, truncated = await _read(response, sent.body_limit)
            return Answer(
                status=response.status,
                reason=response.reason or "",
                headers=response.headers,
                body=body.decode(errors="replace"),
                truncated=truncated,
                retry_after=_retry_after(response),
                duration=0.0,
            )


class _ResponseReader(ResponseHandler):
    """Keeps an answer that is complete, whatever comes behind it.

    A receiver that counts characters for its ``Content-Length``, or sends a body with 204, has taken the event all the
    same. aiohttp would fail the answer because of the rest if both come at once, and only then.
    """

    def data_received(self, data: bytes) -> None:
        head, end, rest = data.partition(b"\r\n\r\n")
        super().data_received(head + end)
        if rest and self.exception() is None:
            super().data_received(rest)


def _as_written(url: str) -> URL:
    """The URL with its percent-encodings as they are.

    By itself yarl decodes those that it thinks need none. But ``;`` divides in some servers what ``%3B`` does not, and
    what an event fills in must not divide anything.

    Raises:
        aiohttp.InvalidURL: it is another protocol's.
        ValueError: it is no URL.
    """
    whole, parts = URL(url), urlsplit(url)
    if whole.scheme not in {"http", "https"}:
        raise aiohttp.InvalidURL(url, "it is neither http nor https")
    return URL.build(
        scheme=whole.scheme,
        authority=whole.raw_authority,
        path=_sendable(parts.path) or "/",
        query_string=_sendable(parts.query),
        encoded=True,
    )


def _sendable(text: str) -> str:
    return quote(_LONE_PERCENT.sub("%25", text), safe=_SENDABLE)


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """The longest that it asks for: a proxy may have added a header to the receiver's."""
    now = time.time()
    asked = [parse_retry_after(text, now) for text in response.headers.getall("Retry-After", ())]
    return max((seconds for seconds in asked if seconds is not None), default=None)


async def _read(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    """At most ``limit`` bytes of the body, and whether there was more."""
    kept = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        kept += chunk
        if len(kept) > limit:
            response.close()
            break
    return bytes(kept[:limit]), len(kept) > limit


async def _note_reuse(_session: aiohttp.ClientSession, context: Any, _params: Any) -> None:
    context.trace_request_ctx["reused"] = True
