"""The process of ``headrace connector webhook``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backbone.tracing.settings import open_tracing
from connectors.webhook import main
from connectors.webhook.metrics import WebhookMetrics
from families.delivery import BODIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from processes.settings import ConnectorSettings


async def serve_webhooks(
    settings: ConnectorSettings,
    stopping: asyncio.Event,
    on_ready: Callable[[], None],
    metrics: WebhookMetrics | None = None,
) -> None:
    """Deliver webhooks and move retries until ``stopping`` is set.

    Args:
        settings: of this process.
        stopping: ends it.
        on_ready: called once it can deliver.
        metrics: counters to use; by default those of the process.

    Raises:
        Misconfigured: an allowed network is none, another process holds the wanted slot, or spans cannot be sent.
    """
    tracing = open_tracing(settings.tracing, "connector-webhook")
    try:
        await main.serve_webhooks(
            stopping,
            on_ready,
            kafka=settings.kafka,
            backbone=settings.backbone,
            webhook=settings.webhook,
            slot=settings.slot,
            bodies=BODIES,
            metrics=metrics or WebhookMetrics(most_labels=settings.backbone.metric_labels),
            tracing=tracing,
        )
    finally:
        if tracing is not None:
            await asyncio.to_thread(tracing.close)
