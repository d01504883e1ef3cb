"""How the gateway waits for the ledger: never for long. It is a view, and events are accepted without it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from schemas.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.ledger.writer import LedgerWriter

log = logging.getLogger(__name__)

T = TypeVar("T")

_START_SECONDS = 5.0
"""How long a start waits for an answer."""

_RETRY_SECONDS = 1.0


async def answered(question: Callable[[], T], *, seconds: float) -> T:
    """What the ledger answers. A database that does not in time is left to itself, on its thread.

    Raises:
        Unavailable: it did not.
    """
    try:
        return await asyncio.wait_for(asyncio.to_thread(question), seconds)
    except TimeoutError as error:
        raise Unavailable("The ledger does not answer in time.") from error


async def opened(ledger: LedgerWriter, *, patient: bool) -> asyncio.Task[None] | None:
    """Make the ledger's tables. If ``patient`` and no database answers yet, the task that does so once one answers.

    Raises:
        Unavailable: there is none, and not ``patient``.
    """
    if not patient:
        await asyncio.to_thread(ledger.create)
        return None
    try:
        await answered(ledger.create, seconds=_START_SECONDS)
    except Unavailable:
        return asyncio.create_task(_made(ledger))
    return None


async def _made(ledger: LedgerWriter) -> None:
    while True:
        try:
            await asyncio.to_thread(ledger.create)
        except Unavailable as error:
            log.warning("waiting for the ledger", extra={"reason": str(error)})
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return
