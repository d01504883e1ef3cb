"""The interface of a family's own WebSocket protocol, which a realtime node serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from backbone.kafka.producer import Producer
    from connectors.websocket.session import Node
    from schemas.model.endpoint import BodyFormat


class SocketService(Protocol):
    """Serves one path of a node, beside the node's own paths.

    Attributes:
        path: where its clients connect.
    """

    path: str

    def start(self) -> None:
        """Start; called before the node listens."""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one request, from an origin that may connect.

        Raises:
            HTTPException: the request is refused.
        """

    async def stop(self) -> None:
        """Close every connection, so that its client comes back."""


class SocketProtocol(NamedTuple):
    """A family's WebSocket protocol.

    Attributes:
        body: the format of its WEB_SOCKET endpoints; their channels get it instead of CloudEvents.
        service: makes the service of a node. The producer is the node's; the service writes to ``endpoint-state``.
    """

    body: BodyFormat
    service: Callable[[Node, Producer], SocketService]
