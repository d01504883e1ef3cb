"""Ends connections and subscriptions whose rights were revoked in the catalog."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from backbone.catalog.realtime_grants import Grant
from connectors.websocket import protocol

if TYPE_CHECKING:
    from connectors.websocket.session import Node

log = logging.getLogger(__name__)

_LOOK_AGAIN = 0.25
"""Seconds between two checks whether the catalog has changed."""


class RevocationMonitor:
    """Ends connections and subscriptions within ``_LOOK_AGAIN`` seconds after their grant was revoked in the catalog.

    A subscription also ends when the issuer of its token may no longer grant the channel.

    Args:
        node: has the connections.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch the catalog."""
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        seen = -1
        while True:
            version = self._node.catalog.view.version
            if version != seen:
                try:
                    self._look()
                    seen = version
                except Exception:  # a failure must not keep a revoked client connected: check again
                    log.exception("connections could not be compared with the catalog")
            await asyncio.sleep(_LOOK_AGAIN)

    def _look(self) -> None:
        # A connection that is being accepted checks its rights itself, with a view no older than this one.
        view, rights = self._node.catalog.view, self._node.authorizer.rights
        standing: dict[Grant, bool] = {}
        covering: dict[tuple[Grant, str], bool] = {}
        for session in list(self._node.sessions):
            if session.claims is None:
                continue
            grant = Grant.of(session.claims)
            if grant not in standing:
                standing[grant] = rights.stands(view, grant)
            if not standing[grant]:
                session.close(protocol.PERMISSION_DENIED)
                continue
            for name, subscription in list(session.subscriptions.items()):
                on = (subscription.grant or grant, name)
                if on not in covering:
                    covering[on] = rights.covers(view, *on)
                if not covering[on]:
                    session.unsubscribe(name, protocol.SERVER_UNSUBSCRIBE)
