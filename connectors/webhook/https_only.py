"""Refuses plain http, where the installation asks for it (``HEADRACE_WEBHOOK_HTTPS_ONLY``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.webhook.transport import Response
from schemas.model.standing import Reason
from schemas.security.destinations import NOT_HTTPS, is_https

if TYPE_CHECKING:
    from connectors.webhook.transport import HttpRequest, Transport


class HttpsOnly:
    """A transport in front of another one: endpoints may have been made before the setting, or name URLs in templates.

    Args:
        transport: makes the requests that go out.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send(self, request: HttpRequest, timeout: float) -> Response:  # noqa: ASYNC109  # Transport
        """Make one request, if it is https."""
        if is_https(request.url):
            return await self._transport.send(request, timeout)
        return Response(error=NOT_HTTPS, duration=0.0, forbidden=True, failure=Reason.FORBIDDEN)
