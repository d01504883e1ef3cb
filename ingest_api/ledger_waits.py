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

START_SECONDS = 5.0
"""How long a start waits for it."""

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


async def made(ledger: LedgerWriter, *, patient: bool) -> None:
    """Make the ledger's tables; if ``patient``, as soon as there is a database to make them in.

    Raises:
        Unavailable: there is none, and not ``patient``.
    """
    while True:
        try:
            await asyncio.to_thread(ledger.create)
        except Unavailable as error:
            if not patient:
                raise
            log.warning("waiting for the ledger", extra={"reason": str(error)})
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return
