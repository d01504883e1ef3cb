"""How a process waits for a Kafka that starts after it."""

from __future__ import annotations

import time

import pytest

from backbone.kafka import retrying
from schemas.model.errors import Unavailable


async def test_what_kafka_cannot_do_yet_is_tried_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "START_PAUSE", 0)
    answers = iter([Unavailable("not yet"), Unavailable("not yet"), None])

    async def attempt() -> None:
        if (error := next(answers)) is not None:
            raise error

    await retrying.retry_before(time.monotonic() + 60, attempt)
    assert list(answers) == []


async def test_what_kafka_cannot_do_in_time_is_an_error() -> None:
    async def attempt() -> None:
        raise Unavailable("not at all")

    with pytest.raises(Unavailable, match="not at all"):
        await retrying.retry_before(time.monotonic() - 1, attempt)
