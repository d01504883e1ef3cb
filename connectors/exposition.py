"""Serves the metrics and the health of a connector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.exposition import Exposition, exposed

if TYPE_CHECKING:
    from backbone.health import Health
    from connectors.settings import ConnectorSettings


def expose(settings: ConnectorSettings, health: Health) -> Exposition:
    """Serve them where the settings say.

    Raises:
        Misconfigured: it cannot listen there.
    """
    return Exposition(
        settings.metrics_host,
        settings.metrics_port,
        variable="HEADRACE_CONNECTOR_METRICS_PORT",
        registry=exposed(),
        unready=health.reason,
    )
