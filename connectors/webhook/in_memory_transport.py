"""A transport without a network, for tests and dry runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from connectors.webhook.transport import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.webhook.transport import HttpRequest


def accept(_request: HttpRequest) -> Response:
    """Answer 200."""
    return Response(status=200, duration=0.0)


class InMemoryTransport:
    """Calls a function for each request.

    Args:
        receive: the receiver; by default it takes everything.

    Attributes:
        sent: the requests, oldest first.
    """

    def __init__(self, receive: Callable[[HttpRequest], Response] = accept) -> None:
        self.sent: list[HttpRequest] = []
        self._receive = receive

    async def send(self, request: HttpRequest, timeout: float) -> Response:  # noqa: ARG002, ASYNC109  # Transport
        """Have the receiver answer; others get a turn first, as they would with a network."""
        await asyncio.sleep(0)
        self.sent.append(request)
        return self._receive(request)
