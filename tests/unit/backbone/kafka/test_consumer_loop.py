"""The loop of a group's member, over a consumer that the test controls."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from backbone.kafka import consumer_loop
from backbone.kafka.consumer_loop import ConsumerLoop, Member, ReadAgain
from backbone.kafka.settings import KafkaSettings
from schemas.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

PARTITION = ("t", 0)


class Consumer:
    """Is given one partition, and polls what the test says."""

    def __init__(self, log: list[str], polls: list[Exception | None], on_assigned: Callable[[list[Any]], None]) -> None:
        self._log, self._polls, self._on_assigned = log, polls, on_assigned
        self._log.append("join")

    def subscribe(self, topics: list[str]) -> None:
        assert topics == ["t"]

    def consume(self, _count: int, _wait: float) -> list[Any]:
        if self._log[-1] == "join":
            self._on_assigned([PARTITION])
        error = self._polls.pop(0) if self._polls else None
        if error is not None:
            raise error
        return []

    def close(self) -> None:
        self._log.append("close")


class Noting(Member):
    """Fails as the test says, and stops the loop when there is nothing left to fail with."""

    def __init__(self, log: list[str], failures: list[Exception | None], stopping: threading.Event) -> None:
        self._log, self._failures, self._stopping = log, failures, stopping

    def handle(self, _consumer: Any, _records: Any) -> None:
        self._log.append("handle")
        if not self._failures:
            self._stopping.set()
            return
        error = self._failures.pop(0)
        if error is not None:
            raise error

    def assigned(self, partitions: list[Any]) -> None:
        assert partitions == [PARTITION]
        self._log.append("assigned")

    def revoked(self, _consumer: Any, partitions: list[Any]) -> None:
        assert partitions == [PARTITION]
        self._log.append("revoked")

    def read_again(self, _consumer: Any) -> None:
        self._log.append("read again")

    def leaving(self, _consumer: Any) -> None:
        self._log.append("leaving")


def run(
    monkeypatch: pytest.MonkeyPatch, failures: list[Exception | None], polls: list[Exception | None] | None = None
) -> list[str]:
    log: list[str] = []
    polled, stopping = list(polls or []), threading.Event()
    monkeypatch.setattr(consumer_loop, "PAUSE", 0.0)
    monkeypatch.setattr(
        consumer_loop, "BatchConsumer", lambda *_, on_assigned, **__: Consumer(log, polled, on_assigned)
    )
    member = Noting(log, failures, stopping)
    ConsumerLoop(KafkaSettings(), group="g", topics=["t"], member=member, batch=1).run(stopping)
    return log


@pytest.mark.parametrize("failure", [Unavailable("away"), ReadAgain("overtaken")])
def test_a_batch_that_fails_is_read_again_by_the_same_member(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    assert run(monkeypatch, [failure]) == ["join", "assigned", "handle", "read again", "handle", "leaving", "close"]


def test_a_consumer_that_fails_is_replaced_and_its_partitions_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    log = run(monkeypatch, [None], [None, Unavailable("fatal")])
    assert log == ["join", "assigned", "handle", "revoked", "close", "join", "assigned", "handle", "leaving", "close"]


def test_an_error_of_our_own_code_ends_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, [ZeroDivisionError()])
