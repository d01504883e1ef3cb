from __future__ import annotations

import asyncio
import time

import pytest

from ingest_api.patience import Patience
from schemas.errors import Unavailable


async def test_what_comes_in_time_is_returned() -> None:
    assert await Patience(5).wait(asyncio.sleep(0.001, "there")) == "there"


async def test_what_comes_too_late_is_cancelled_and_unavailable() -> None:
    cancelled = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    started = time.monotonic()
    with pytest.raises(Unavailable):
        await Patience(0.2).wait(forever())
    assert time.monotonic() - started < 2
    assert cancelled.is_set()
    # The task goes on: nothing of the cancellation is left behind.
    await asyncio.sleep(0.2)


async def test_each_waits_as_long_as_allowed_however_many_wait() -> None:
    patience = Patience(0.3)
    started = time.monotonic()

    async def give_up(delay: float) -> float:
        await asyncio.sleep(delay)
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            await patience.wait(asyncio.Event().wait())
        return time.monotonic() - begun

    waits = await asyncio.gather(*(give_up(number / 100) for number in range(20)))
    assert all(0.29 <= each < 1.5 for each in waits)
    assert time.monotonic() - started < 3


async def test_errors_and_cancellations_of_others_pass_through() -> None:
    patience = Patience(5)

    async def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await patience.wait(fail())
    task = asyncio.ensure_future(patience.wait(asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
