"""A transport that ends the spans of the requests that it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.webhook.transport import HttpRequest, Response, Transport


class TracedTransport:
    """Sends requests with another transport.

    Args:
        transport: started and closed by the caller.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send(self, request: HttpRequest, timeout: float) -> Response:  # noqa: ASYNC109  # as ``Transport`` has it
        """Make one request; see ``Transport.send``."""
        status: int | None = None
        failure: str | None = None
        try:
            response = await self._transport.send(request, timeout)
            status, failure = response.status, response.failure
        finally:
            if request.span is not None:
                request.span.end(status, failure)
        return response
