"""The process of ``headrace connector websocket``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.websocket import main
from connectors.websocket.metrics import RealtimeMetrics
from families.delivery import BODIES
from families.realtime import realm_channels, socket_protocols

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from processes.settings import ConnectorSettings


async def serve_realtime(
    settings: ConnectorSettings,
    stopping: asyncio.Event,
    on_ready: Callable[[int], None],
    metrics: RealtimeMetrics | None = None,
    *,
    unready: Callable[[], str | None] = lambda: None,
) -> None:
    """Serve WebSocket clients until ``stopping`` is set.

    Args:
        settings: of this process.
        stopping: ends it.
        on_ready: called with the port once clients can connect.
        metrics: counters to use; by default those of the process.
        unready: returns why the process cannot do its work, or None; for ``/readyz``.

    Raises:
        Misconfigured: the port is taken.
        Unavailable: the log can no longer be read; start the process again.
    """
    await main.serve_realtime(
        stopping,
        on_ready,
        kafka=settings.kafka,
        backbone=settings.backbone,
        realtime=settings.realtime,
        bodies=BODIES,
        realms=realm_channels(),
        protocols=socket_protocols(settings.kafka, settings.backbone),
        metrics=metrics or RealtimeMetrics(),
        unready=unready,
    )
