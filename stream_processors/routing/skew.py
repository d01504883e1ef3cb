"""By how much the clocks of brokers may differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backbone.kafka.admin import Admin
    from stream_processors.settings import ProcessorSettings

_SEVERAL_BROKERS = 0.5
"""Seconds by which the clocks of several brokers are assumed to differ."""


async def router_skew(settings: ProcessorSettings, admin: Admin) -> int:
    """Milliseconds by which subscriptions start early, because the clocks of two brokers may differ."""
    allowance = settings.skew_allowance
    if allowance is None:
        allowance = _SEVERAL_BROKERS if await admin.broker_count() > 1 else 0.0
    return int(allowance * 1_000)
