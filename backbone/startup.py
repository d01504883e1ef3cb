"""Starting before Kafka does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
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


async def until_deadline(deadline: float, attempt: Callable[[], Awaitable[object]]) -> None:
    """Try until it works.

    Raises:
        Unavailable: it does not before the deadline (monotonic seconds).
    """
    while True:
        try:
            await attempt()
        except Unavailable as error:
            if time.monotonic() > deadline:
                raise
            log.warning("waiting for Kafka", extra={"reason": str(error)})
            await asyncio.sleep(_START_AGAIN)
        else:
            return
