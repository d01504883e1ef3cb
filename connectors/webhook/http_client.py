"""Our own HTTP/1.1 client: the transport of webhooks. One write and mostly one read a request, on a kept connection.

It keeps the promises of ``AiohttpClient``, which takes four times the CPU time and stays for proxies: it connects only
where the guard permits, verifies certificates and host names, never follows a redirect, keeps no cookies, does not
decompress responses, and bounds everything that a receiver can send.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from multidict import CIMultiDict

from connectors.webhook.connection_pool import ConnectionPool
from connectors.webhook.dialer import Dialer, NotConnected, verifying_context
from connectors.webhook.http_connection import BrokenOff, Disconnected, Unreadable
from connectors.webhook.request_head import HeadLines
from connectors.webhook.request_target import UnusableUrl, target_of
from connectors.webhook.retry_schedule import longest_retry_after
from connectors.webhook.transport import LONGEST_ERROR, USER_AGENT, Response
from schemas.model.standing import Reason

if TYPE_CHECKING:
    import ssl

    from connectors.webhook.destination_guard import DestinationGuard
    from connectors.webhook.http_connection import Answered, HttpConnection
    from connectors.webhook.request_target import Target
    from connectors.webhook.transport import HttpRequest

log = logging.getLogger(__name__)


class HttpClient:
    """A ``Transport``. Every failure is a ``Response``, so that the caller has one path.

    Args:
        guard: permits addresses.
        body_limit: most bytes of a response that are read; after them the connection is closed.
        user_agent: the ``User-Agent`` header.
        context: of TLS; by default the system's authorities are trusted.
    """

    def __init__(
        self,
        guard: DestinationGuard,
        *,
        body_limit: int,
        user_agent: str = USER_AGENT,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = guard
        self._body_limit = body_limit
        self._context = context
        self._lines = HeadLines(user_agent)
        self._in_use: set[HttpConnection] = set()

    async def start(self) -> None:
        """Prepare it for the running event loop."""
        self._loop = asyncio.get_running_loop()
        # Reading the authorities' certificates takes some 10 ms.
        if self._context is None:
            self._context = await asyncio.to_thread(verifying_context)
        self._dialer = Dialer(self._guard, self._context)
        self._pool = ConnectionPool()

    async def close(self) -> None:
        """Close all connections; requests in flight fail."""
        self._pool.close()
        self._dialer.close()
        for connection in list(self._in_use):
            connection.close()
        # What was closed is gone after the next turn of the loop.
        await asyncio.sleep(0)

    async def send(self, request: HttpRequest, timeout: float) -> Response:  # noqa: ASYNC109  # a bound on the exchange, part of the response
        """Make one request; ``timeout`` seconds cover everything from name resolution to the last body byte."""
        started = time.monotonic()
        forbidden = False
        try:
            answered = await self._exchange(request, timeout)
        except TimeoutError:
            error, failed = f"no complete answer within {timeout:g} s", Reason.TIMEOUT
        except NotConnected as failure:
            forbidden = failure.is_forbidden
            error = failure.why if forbidden else f"{failure}: {failure.why}"
            failed = Reason.FORBIDDEN if forbidden else Reason.CONNECTION
        except Unreadable as failure:
            error, failed = f"the answer cannot be read: {failure}", Reason.RESPONSE
        except (BrokenOff, Disconnected) as failure:
            error, failed = str(failure), Reason.CONNECTION
        except UnusableUrl as failure:
            error, failed = f"the URL cannot be used: {failure}", Reason.ENDPOINT
        except (OSError, ValueError) as failure:  # ValueError: a URL or header that cannot be sent
            error, failed = f"{type(failure).__name__}: {failure}", Reason.CONNECTION
        except Exception as failure:  # a try that failed in a way nobody thought of must still be a try
            log.exception("a request failed unexpectedly")
            error, failed = f"{type(failure).__name__}: {failure}", Reason.CONNECTION
        else:
            return _response(answered, time.monotonic() - started)
        return Response(
            error=error[:LONGEST_ERROR], duration=time.monotonic() - started, forbidden=forbidden, failure=failed
        )

    async def _exchange(self, request: HttpRequest, seconds: float) -> Answered:
        deadline = self._loop.time() + seconds
        target = target_of(request.method, request.url)
        lines = self._lines.of(request.headers, target.authorization, len(request.body))
        message = (target.start + lines).encode() + request.body
        connection = self._pool.take(target.origin)
        if connection is not None:
            try:
                return await self._on(connection, target, request, message, deadline)
            except Disconnected as error:
                if not error.silent or self._pool.is_closed:
                    raise
            # The receiver closed an idle connection just as it was used again. That says nothing about the receiver,
            # so it is no failed attempt. Try on a new connection and not on the next idle one: a receiver that breaks
            # down at this event would get it again on each of them. If it has taken the event nevertheless, it gets it
            # twice with the same webhook-id, which is what at least once means.
        async with asyncio.timeout_at(deadline):
            connection = await self._dialer.connect(target.origin, self._lost)
        return await self._on(connection, target, request, message, deadline)

    async def _on(
        self, connection: HttpConnection, target: Target, request: HttpRequest, message: bytes, deadline: float
    ) -> Answered:
        self._in_use.add(connection)
        try:
            answered = await connection.exchange(
                message,
                limit=request.body_limit or self._body_limit,
                deadline=deadline,
                bodiless=target.is_head,
            )
        except BaseException:  # cancelled, too: what comes would be taken for the next response
            connection.close()
            raise
        finally:
            self._in_use.discard(connection)
        self._pool.give(target.origin, connection)
        return answered

    def _lost(self, connection: HttpConnection) -> None:
        self._pool.forget(connection)


def _response(answered: Answered, duration: float) -> Response:
    headers = CIMultiDict(
        [(name.decode(errors="replace"), value.decode(errors="replace")) for name, value in answered.headers]
    )
    asked = headers.getall("Retry-After", None)
    return Response(
        status=answered.status,
        reason=answered.reason.decode(errors="replace"),
        headers=headers,
        body=answered.body.decode(errors="replace"),
        truncated=answered.truncated,
        retry_after=None if asked is None else longest_retry_after(asked),
        duration=duration,
    )
