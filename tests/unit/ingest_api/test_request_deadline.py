from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from ingest_api.request_deadline import Patience
from schemas.model.errors import NotAcknowledged, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """The loop's time, which passes at once while there is nothing else to do: no machine is too slow for it."""
    loop: Any = asyncio.get_running_loop()
    select, now = loop._selector.select, loop.time()

    def at_once(timeout: float | None) -> Any:
        nonlocal now
        now += timeout or 0.0
        return select(0)

    monkeypatch.setattr(loop._selector, "select", at_once)
    monkeypatch.setattr(loop, "time", lambda: now)
    return lambda: now


async def test_what_comes_in_time_is_returned() -> None:
    assert await Patience(5).wait(asyncio.sleep(0.001, "there")) == "there"


async def test_what_comes_too_late_is_cancelled_and_unavailable(clock: Callable[[], float]) -> None:
    cancelled = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    started = clock()
    with pytest.raises(Unavailable):
        await Patience(0.2).wait(forever())
    assert 0.19 <= clock() - started < 0.4
    assert cancelled.is_set()
    # The task goes on: nothing of the cancellation is left behind.
    await asyncio.sleep(0.2)


async def test_each_waits_as_long_as_allowed_however_many_wait(clock: Callable[[], float]) -> None:
    patience = Patience(0.3)

    async def give_up(delay: float) -> float:
        await asyncio.sleep(delay)
        begun = clock()
        with pytest.raises(Unavailable):
            await patience.wait(asyncio.Event().wait())
        return clock() - begun

    waits = await asyncio.gather(*(give_up(number / 100) for number in range(20)))
    assert all(0.29 <= each < 0.5 for each in waits)


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


async def test_a_request_has_one_deadline_however_often_it_waits(clock: Callable[[], float]) -> None:
    patience = Patience(1)

    async def request() -> None:
        await patience.wait(asyncio.sleep(0.7))
        await patience.wait(asyncio.Event().wait(), NotAcknowledged)

    started = clock()
    with pytest.raises(NotAcknowledged):
        await patience.wait(request())
    assert clock() - started < 1.3
    assert await patience.wait(asyncio.sleep(0.7, "a new one")) == "a new one"


async def test_the_time_that_a_client_takes_for_its_body_does_not_count(clock: Callable[[], float]) -> None:
    patience = Patience(1)
    receive = patience.without(lambda: asyncio.sleep(30, "a body"))

    async def request(*, then: float) -> str:
        body = await receive()
        await patience.wait(asyncio.sleep(then))
        return body

    assert await patience.wait(request(then=0.7)) == "a body"
    started = clock()
    with pytest.raises(Unavailable):
        await patience.wait(request(then=60))
    assert 30.9 < clock() - started < 31.3
