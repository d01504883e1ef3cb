"""The hot app with a span for each request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from backbone.tracing.spans import Tracing
    from ingest_api.http import Asgi, Receive, Scope, Send


class TracedApp:
    """An app whose requests have spans.

    Args:
        app: whose routes have no parameters: their paths name the spans.
        tracing: makes them.
    """

    def __init__(self, app: Asgi, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with self._tracing.serving(scope) as span:

            async def send_and_note(message: MutableMapping[str, Any]) -> None:
                span.status = message.get("status", span.status)
                await send(message)

            await self._app(scope, receive, send_and_note)
