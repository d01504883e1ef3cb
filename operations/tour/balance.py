"""The end of the tour: what was matched is what became of it, and every offset was routed once."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from operations.errors import CallFailed

if TYPE_CHECKING:
    from operations.api.client import OwnApi
    from operations.tour.reporter import Narrator

_LOOK_EVERY = 0.5
_MOST = "1000"


async def play(api: OwnApi, narrator: Narrator, timeout: float) -> None:  # noqa: ASYNC109 - it tells what it found
    """Wait until the ledger has everything, and check that it adds up.

    Raises:
        CallFailed: a call was refused.
        TourFailed: it does not add up within ``timeout`` seconds.
    """
    narrator.step("The balance of all workspaces")
    is_complete, rows, faults = await settled(api, timeout)
    narrator.check("ledger", has_everything=is_complete)
    narrator.check("deliveries", add_up=not rows)
    narrator.check("offsets", routed_once=not faults)


async def settled(api: OwnApi, timeout: float) -> tuple[bool, list[Any], list[Any]]:  # noqa: ASYNC109 - as above
    """Wait until the balance is zero, for at most ``timeout`` seconds.

    Returns:
        Whether the ledger has everything from before the call; rows that do not add up; faults of routing.

    Raises:
        CallFailed: a call was refused, or is still answered 503 at the end.
    """
    asked = datetime.now(UTC)
    deadline = time.monotonic() + timeout
    while True:
        is_last = time.monotonic() > deadline
        try:
            found = await _look(api, asked)
        except CallFailed as error:
            # The ledger is busy: the answer says to ask again in a moment.
            if is_last or error.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
        else:
            if is_last or found == (True, [], []):
                return found
        await asyncio.sleep(_LOOK_EVERY)


async def _look(api: OwnApi, asked: datetime) -> tuple[bool, list[Any], list[Any]]:
    rows: list[Any] = []
    faults: list[Any] = []
    is_complete = False
    for workspace in (await api.get("/workspaces", limit=_MOST))["items"]:
        name = workspace["name"]
        page = await api.get("/balance", workspace=name, unbalanced="true", limit=_MOST)
        until = page["complete_until"]
        is_complete = until is not None and datetime.fromisoformat(until) >= asked
        rows += page["items"]
        routed = await api.get("/balance/topics", workspace=name, limit=_MOST)
        faults += [fault for partition in routed["items"] for fault in partition["faults"]]
    return is_complete, rows, faults
