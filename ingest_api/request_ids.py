"""Gives every request an id, which its answer and its log lines carry; and the access log.

This is the outermost layer of the app: what it wraps answers nothing without passing here.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from backbone.process.request_id import HEADER, REQUEST_ID, taken_over

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from ingest_api.direct import DirectPublishing
    from ingest_api.http import Asgi, Receive, Scope, Send

log = logging.getLogger("headrace.access")

_LONGEST_PATH = 1_000
"""Characters of a path in the access log."""


class RequestIds:
    """The app, with ``X-Request-Id`` in each answer.

    Args:
        app: whose requests have ids.
        access_log: write a line for each answer.
        direct: answers some requests without this app.
    """

    def __init__(self, app: Asgi, *, access_log: bool, direct: DirectPublishing | None = None) -> None:
        self.direct = direct
        self._app = app
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = taken_over(next((value for name, value in scope["headers"] if name == HEADER), None))
        REQUEST_ID.set(request_id)
        header = (HEADER, request_id.encode())
        entry = _Entry(scope) if self._access_log else None

        async def send_with_id(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), header]
            if entry is not None:
                entry.note(message)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            if entry is not None:
                entry.write()


class _Entry:
    """One line of the access log: no query, no body and no header, for these have credentials and payloads."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._started = time.perf_counter()
        self._status: int | None = None
        self._bytes = 0

    def note(self, message: MutableMapping[str, Any]) -> None:
        """Take note of a part of the answer."""
        self._status = message.get("status", self._status)
        self._bytes += len(message.get("body", b""))

    def write(self) -> None:
        """Write the line. Without a ``status`` the client had gone before it was answered."""
        client = self._scope.get("client")
        line = {
            "method": self._scope["method"],
            "path": self._scope["path"][:_LONGEST_PATH],
            "status": self._status,
            "seconds": round(time.perf_counter() - self._started, 6),
            "answer_bytes": self._bytes,
            "client": client[0] if client else None,
        }
        log.info("request", extra=line)
