"""Starting before Kafka does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from schemas.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

_START_AGAIN = 1.0
"""Seconds between two tries."""


async def persist(stopping: asyncio.Event, call: Callable[[], Awaitable[None]]) -> bool:
    """Try until it works, True, or it shall stop, False: Kafka may start after us."""
    while not stopping.is_set():
        try:
            await call()
        except Unavailable as error:
            log.warning("waiting for Kafka: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _START_AGAIN)
        else:
            return True
    return False
