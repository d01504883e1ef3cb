"""Tries again while Kafka is away: a call that raises ``Unavailable`` is made once more after a pause."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, TypeVar

from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    import threading
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSE = 0.5
"""Seconds between two tries of work that was begun and must end."""

START_PAUSE = 1.0
"""Seconds between two tries of a process that starts."""


async def retry(call: Callable[[], Awaitable[T]], *, waiting: str = "") -> T:
    """Call until Kafka answers, however long it takes.

    Args:
        call: is made at least once.
        waiting: names what waits, for a warning at each failure; without it nothing is logged.
    """
    while True:
        try:
            return await call()
        except Unavailable as error:
            if waiting:
                log.warning("%s waits for Kafka: %s", waiting, error)
            await asyncio.sleep(PAUSE)


async def retry_unless(stopping: asyncio.Event, call: Callable[[], Awaitable[object]]) -> bool:
    """Call until Kafka answers; return False if ``stopping`` was set before."""
    while not stopping.is_set():
        try:
            await call()
        except Unavailable as error:
            log.warning("waiting for Kafka: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), START_PAUSE)
        else:
            return True
    return False


def retry_blocking(stopping: threading.Event, call: Callable[[], object]) -> bool:
    """``retry_unless`` for a thread of its own."""
    while not stopping.is_set():
        try:
            call()
        except Unavailable as error:
            log.warning("waiting for Kafka: %s", error)
            stopping.wait(START_PAUSE)
        else:
            return True
    return False


async def retry_before(deadline: float, call: Callable[[], Awaitable[object]]) -> None:
    """Call until Kafka answers.

    Raises:
        Unavailable: it did not before the deadline (monotonic seconds).
    """
    while True:
        try:
            await call()
        except Unavailable as error:
            if time.monotonic() > deadline:
                raise
            log.warning("waiting for Kafka", extra={"reason": str(error)})
            await asyncio.sleep(START_PAUSE)
        else:
            return
