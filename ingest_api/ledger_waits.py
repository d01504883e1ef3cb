"""How the gateway waits for the ledger: never for long. It is a view, and events are accepted without it."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from schemas.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from backbone.ledger.writer import LedgerWriter

log = logging.getLogger(__name__)

T = TypeVar("T")

_START_SECONDS = 5.0
"""How long a start waits for an answer."""

_RETRY_SECONDS = 1.0

_AT_ONCE = 8
"""Questions that are put to the ledger at the same time; the others wait for one of them to be answered."""


def own_threads() -> ThreadPoolExecutor:
    """Threads for the ledger alone: while a database hangs, all else that blocks needs others."""
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ledger")


async def answered(question: Callable[[], T], *, seconds: float, threads: Executor | None = None) -> T:
    """What the ledger answers. A database that does not in time is left to itself, on its thread.

    Args:
        question: blocks until the database answers.
        seconds: that it may take.
        threads: where it is asked; None for those that all share.

    Raises:
        Unavailable: it did not.
    """
    asked = asyncio.get_running_loop().run_in_executor(threads, question)
    try:
        return await asyncio.wait_for(asked, seconds)
    except TimeoutError as error:
        raise Unavailable("The ledger does not answer in time.") from error


async def opened(ledger: LedgerWriter, *, patient: bool, threads: Executor | None = None) -> asyncio.Task[None] | None:
    """Make the ledger's tables. If ``patient`` and no database answers yet, the task that does so once one answers.

    Raises:
        Unavailable: there is none, and not ``patient``.
    """
    if not patient:
        await asyncio.to_thread(ledger.create)
        return None
    try:
        await answered(ledger.create, seconds=_START_SECONDS, threads=threads)
    except Unavailable:
        return asyncio.create_task(_made(ledger, threads))
    return None


async def _made(ledger: LedgerWriter, threads: Executor | None) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            await loop.run_in_executor(threads, ledger.create)
        except Unavailable as error:
            log.warning("waiting for the ledger", extra={"reason": str(error)})
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return
