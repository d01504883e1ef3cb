"""The transport for what our own HTTP client does not do (proxies): aiohttp, within hard bounds of time and size.

It never follows a redirect, connects only where the guard permits, keeps no cookies, ignores proxy variables, and does
not decompress responses. Through a proxy of the installation, the guard judges hosts that are addresses; names are the
proxy's to resolve and to judge.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict

from connectors.webhook.destination_guard import ForbiddenDestination
from connectors.webhook.http_connection import LONGEST_HEADER
from connectors.webhook.request_target import UnusableUrl, as_written
from connectors.webhook.resolver import Resolver
from connectors.webhook.retry_schedule import longest_retry_after
from connectors.webhook.transport import LONGEST_ERROR, USER_AGENT, Response
from schemas.model.standing import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.webhook.destination_guard import DestinationGuard
    from connectors.webhook.egress_proxy import EgressProxy
    from connectors.webhook.transport import HttpRequest

log = logging.getLogger(__name__)

_DNS_CACHE = 30
"""Seconds."""

_CHUNK = 16_384


class AiohttpClient:
    """A ``Transport``. Every failure is a ``Response``, so that the caller has one path.

    Args:
        guard: permits addresses.
        body_limit: most bytes of a response that are read; after them the connection is closed.
        user_agent: the ``User-Agent`` header.
        proxy: that all requests go through; None: directly.
    """

    def __init__(
        self,
        guard: DestinationGuard,
        *,
        body_limit: int,
        user_agent: str = USER_AGENT,
        proxy: EgressProxy | None = None,
    ) -> None:
        self._guard = guard
        self._proxy = proxy
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
            limit=0,  # the endpoints' queues bound what is in flight
            resolver=resolver,
            ttl_dns_cache=_DNS_CACHE,
            # The proxy is the installation's: it may be anywhere.
            socket_factory=self._guard.connect_socket if self._proxy is None else None,
            force_close=force_close,
        )
        reader: Callable[..., ResponseHandler] = _ResponseReader
        connector._factory = partial(reader, loop=asyncio.get_running_loop())  # noqa: SLF001  # there is no other way
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            auto_decompress=False,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
            # A response that is compressed nevertheless is not decompressed.
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            trace_configs=[trace],
        )

    async def close(self) -> None:
        """Close all connections."""
        for session in (self._session, self._fresh):
            if session is not None:
                await session.close()
        self._session = self._fresh = None

    async def send(self, request: HttpRequest, timeout: float) -> Response:  # noqa: ASYNC109  # a bound on the exchange, part of the response
        """Make one request; ``timeout`` seconds cover everything from name resolution to the last body byte."""
        started = time.monotonic()
        forbidden, failed = False, Reason.CONNECTION
        if self._proxy is not None and (refusal := self._guard.refusal(request.url)) is not None:
            error = refusal[:LONGEST_ERROR]
            return Response(error=error, duration=0.0, forbidden=True, failure=Reason.FORBIDDEN)
        try:
            async with asyncio.timeout(timeout):
                response = await self._exchange(request)
        except TimeoutError:
            error, failed = f"no complete answer within {timeout:g} s", Reason.TIMEOUT
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            # ValueError: a URL or header that cannot be sent.
            error, forbidden = _told(failure)
            failed = Reason.FORBIDDEN if forbidden else _reason(failure)
        except Exception as failure:  # a try that failed in a way nobody thought of must still be a try
            log.exception("a request failed unexpectedly")
            error = f"{type(failure).__name__}: {failure}"
        else:
            return msgspec.structs.replace(response, duration=time.monotonic() - started)
        return Response(
            error=error[:LONGEST_ERROR], duration=time.monotonic() - started, forbidden=forbidden, failure=failed
        )

    async def _exchange(self, sent: HttpRequest) -> Response:
        reuse = {"reused": False}
        try:
            return await self._request(self._session, sent, reuse)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not reuse["reused"]:
                raise
        # The receiver closed an idle connection just as it was used again. That says nothing about the receiver, so it
        # is no failed attempt. Try on a new connection and not on the next idle one: a receiver that breaks down at
        # this event would get it again on each of them.
        return await self._request(self._fresh, sent, reuse)

    async def _request(
        self, session: aiohttp.ClientSession | None, sent: HttpRequest, reuse: dict[str, bool]
    ) -> Response:
        if session is None:
            raise aiohttp.ClientConnectionError("the client is not started")
        url = as_written(sent.url)
        if any(name.lower() == "authorization" for name in sent.headers):
            url = url.with_user(None)  # two at once cannot be sent, and the header is the one that was asked for
        proxy, headers = self._proxy, sent.headers
        if proxy is not None and url.scheme == "http":
            headers = {**headers, **proxy.headers}  # the proxy reads this request itself
        async with session.request(
            sent.method,
            url,
            # Bytes as they are would be wrapped in the same, after a search for what they could be.
            data=aiohttp.BytesPayload(sent.body),
            headers=headers,
            allow_redirects=False,
            trace_request_ctx=reuse,
            proxy=None if proxy is None else proxy.url,
            proxy_headers=None if proxy is None else proxy.headers,
        ) as response:
            body, truncated = await _read(response, sent.body_limit or self._body_limit)
            return Response(
                status=response.status,
                reason=_readable(response.reason or ""),
                headers=CIMultiDict((_readable(name), _readable(value)) for name, value in response.headers.items()),
                body=body.decode(errors="replace"),
                truncated=truncated,
                retry_after=longest_retry_after(response.headers.getall("Retry-After", ())),
                duration=0.0,
            )


def _reason(failure: Exception) -> Reason:
    if isinstance(failure, (aiohttp.InvalidURL, UnusableUrl)):
        return Reason.ENDPOINT
    answered = isinstance(failure, aiohttp.ClientResponseError) and not isinstance(
        failure, aiohttp.ClientHttpProxyError
    )
    return Reason.RESPONSE if answered else Reason.CONNECTION


def _told(failure: Exception) -> tuple[str, bool]:
    """What to say of a request that failed, and whether its address was refused."""
    error, forbidden = f"{type(failure).__name__}: {failure}", False
    if isinstance(failure, aiohttp.ClientConnectorError):
        cause = failure.os_error
        why = cause.strerror or str(cause) or type(cause).__name__
        forbidden = isinstance(cause, ForbiddenDestination)
        if isinstance(failure, aiohttp.ClientProxyConnectionError):
            error = f"cannot connect to the proxy: {why}"
        else:
            error = why if forbidden else f"cannot connect to {failure.host}:{failure.port}: {why}"
    elif isinstance(failure, aiohttp.ServerDisconnectedError):
        error = "the connection was closed before a response came"
    elif isinstance(failure, UnusableUrl):
        error = f"the URL cannot be used: {failure}"
    elif isinstance(failure, aiohttp.InvalidURL):
        # The text of this error, and of the next, has the URL in it, which may hold credentials.
        error = f"the URL cannot be used: {failure.description or 'it is not one'}"
    elif isinstance(failure, aiohttp.ClientResponseError):
        said = " ".join(failure.message.split())
        is_proxys = isinstance(failure, aiohttp.ClientHttpProxyError)
        error = f"the proxy answered {failure.status} {said}" if is_proxys else f"the answer cannot be read: {said}"
    return error, forbidden


class _ResponseReader(ResponseHandler):
    """Keeps a complete response, whatever follows it.

    A receiver that counts characters for its ``Content-Length``, or sends a body with 204, has taken the event
    nevertheless. aiohttp would fail the response because of the rest if both arrive at once, and only then.
    """

    def data_received(self, data: bytes) -> None:
        head, end, rest = data.partition(b"\r\n\r\n")
        super().data_received(head + end)
        if rest and self.exception() is None:
            super().data_received(rest)


def _readable(text: str) -> str:
    """Text that JSON can hold: aiohttp makes halves of characters of bytes that are no UTF-8."""
    return text if text.isascii() else text.encode(errors="surrogateescape").decode(errors="replace")


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
