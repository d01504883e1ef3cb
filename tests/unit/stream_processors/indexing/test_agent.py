"""When the ledger's retention is applied."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from schemas.model import timestamps
from schemas.model.errors import Unavailable
from stream_processors.indexing.agent import LedgerAgent
from stream_processors.metrics import ProcessorMetrics

if TYPE_CHECKING:
    import pytest

DAY = 86_400


class Doubles(SimpleNamespace):
    """A reader, an indexer and the rest, as far as the agent asks anything of them."""

    def __init__(self) -> None:
        super().__init__(generation=0, stopping=False, indexed=0, committed=0)

    def agent(self, expire: Any, create: Any = lambda: None) -> LedgerAgent:
        return LedgerAgent(
            catalog=SimpleNamespace(catch_up=lambda: None),  # type: ignore[arg-type]
            reader=self,  # type: ignore[arg-type]
            indexer=self,  # type: ignore[arg-type]
            dead_letters=SimpleNamespace(forget=lambda: None, write=lambda: 0),  # type: ignore[arg-type]
            create=create,
            watch=SimpleNamespace(start=lambda: None, stop=lambda: None),  # type: ignore[arg-type]
            expire=expire,
            fill_in=lambda: 0,
            retention=DAY,
            metrics=ProcessorMetrics(CollectorRegistry()),
        )

    def index(self, _messages: Any) -> None:
        self.indexed += 1

    def commit(self, _offsets: Any) -> None:
        self.committed += 1


BATCH: Any = SimpleNamespace(generation=0, messages=[])


def test_retention_is_applied_with_the_first_batch_and_then_hourly(monkeypatch: pytest.MonkeyPatch) -> None:
    befores: list[int] = []

    def expire(before: int) -> int:
        befores.append(before)
        return 0

    doubles = Doubles()
    agent = doubles.agent(expire)
    agent.handle(BATCH)
    agent.handle(BATCH)
    assert len(befores) == 1
    assert abs(timestamps.now() - DAY * 1_000_000 - befores[0]) < 60 * 1_000_000

    later = time.monotonic() + 3_601
    monkeypatch.setattr(time, "monotonic", lambda: later)
    agent.handle(BATCH)
    assert len(befores) == 2
    assert doubles.committed == 3


def test_deleting_much_lets_indexing_go_on_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1_000))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock) * 0.15)
    left, deleted_before = 3, []

    def expire(_before: int) -> int:
        nonlocal left
        left = max(left - 1, 0)
        deleted_before.append(doubles.indexed)
        return left

    doubles = Doubles()
    agent = doubles.agent(expire)
    for _ in range(4):
        agent.handle(BATCH)

    assert left == 0
    assert deleted_before == [1, 2, 3]


def test_a_database_that_cannot_expire_now_does_not_stop_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_processors.indexing.agent._BACKOFF", 0.0)

    def expire(_before: int) -> int:
        raise Unavailable("busy")

    doubles = Doubles()
    agent = doubles.agent(expire)
    agent.handle(BATCH)
    agent.handle(BATCH)
    assert doubles.committed >= 2


def test_a_database_that_comes_up_later_gets_its_tables_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_processors.indexing.agent._BACKOFF", 0.0)
    refusals = [Unavailable("connection refused")] * 2
    created: list[int] = []

    def create() -> None:
        if refusals:
            raise refusals.pop()
        created.append(doubles.indexed)

    doubles = Doubles()
    agent = doubles.agent(lambda _: 0, create)
    agent.handle(BATCH)
    agent.handle(BATCH)
    assert created == [0]
    assert doubles.committed == 2
