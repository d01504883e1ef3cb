"""Reads of the control app that are asked for so often that its framework would cost more than they do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from ingest_api.http import Response, send_response
from ingest_api.large_answers import PART
from schemas.model.errors import HeadraceError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ingest_api.gateway import Gateway
    from ingest_api.http import Asgi, Receive, Scope, Send

_OF_BODIES = frozenset({b"content-length", b"transfer-encoding"})
_NO_STORE = ((b"cache-control", b"no-store"),)


class PreparedRead(NamedTuple):
    """A GET route of a family's control app, whose usual answer is made without it.

    Attributes:
        folder: the path of its requests, without the last segment.
        route: its template, as in metrics.
        content_type: of its answers.
        answer: makes the body of a 200; None, or an error: the control app answers.
    """

    folder: str
    route: str
    content_type: bytes
    answer: Callable[[Scope, Gateway], Awaitable[bytes | None]]


class PreparedReads:
    """Answers the families' prepared reads.

    Args:
        reads: of all families.
        gateway: what they read.
        otherwise: answers whatever is unusual about such a request, in every detail.
        refused: the answer to an error of a path.
    """

    def __init__(
        self,
        reads: Iterable[PreparedRead],
        gateway: Gateway,
        otherwise: Asgi,
        refused: Callable[[HeadraceError, str], Response],
    ) -> None:
        self._reads = {read.folder: read for read in reads}
        self._gateway = gateway
        self._otherwise = otherwise
        self._refused = refused

    def covers(self, method: str, path: str) -> bool:
        """Whether a request may be one of them."""
        return method == "GET" and path.rpartition("/")[0] in self._reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that ``covers`` has accepted."""
        started = time.perf_counter()
        read = self._reads[scope["path"].rpartition("/")[0]]
        body = response = None
        if _OF_BODIES.isdisjoint([name for name, _ in scope["headers"]]):
            try:
                body = await read.answer(scope, self._gateway)
            except Unavailable as error:
                # The request's time is used up: the route would wait as long again.
                refusal = self._refused(error, scope["path"])
                response = refusal._replace(headers=(*refusal.headers, *_NO_STORE))
            except HeadraceError:
                body = None  # refused once more, in the family's own way
        if body is not None and len(body) <= PART:
            response = Response(200, body, read.content_type, _NO_STORE)
        if response is None:
            await self._otherwise(scope, receive, send)
            return
        self._gateway.metrics.answered(read.route, response.status, time.perf_counter() - started)
        await send_response(send, response)
