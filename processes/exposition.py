"""Serves the metrics and the health of a connector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.process.build_info import show_build
from backbone.process.exposition import Exposition, exposed

if TYPE_CHECKING:
    from backbone.process.health import Health
    from processes.settings import ConnectorSettings


def expose(kind: str, settings: ConnectorSettings, health: Health) -> Exposition:
    """Serve them where the settings say.

    Raises:
        Misconfigured: it cannot listen there.
    """
    show_build(kind)
    return Exposition(
        settings.metrics_host,
        settings.metrics_port,
        variable="HEADRACE_CONNECTOR_METRICS_PORT",
        registry=exposed(),
        unready=health.reason,
        hosts=settings.backbone.http_hosts,
    )
