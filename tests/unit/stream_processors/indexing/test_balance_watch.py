"""When the ledger is taken to be complete, and what is an alert."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from backbone.ledger.balance_tables import HOUR
from schemas.model import timestamps
from stream_processors.indexing.balance_watch import BalanceWatch
from stream_processors.metrics import ProcessorMetrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbone.kafka.records import Partition

ATTEMPTS: Partition = ("attempts", 0)


class Ledger:
    """As far as the watch reads it."""

    def __init__(self, indexed: int = 0) -> None:
        self.at = indexed
        self.wrong: list[Any] = []
        self.faults = self.untried = 0
        self.some_tried = False

    def indexed(self) -> dict[Partition, int]:
        return {ATTEMPTS: self.at} if self.at else {}

    def rows(self, _scope: object, _query: object) -> list[Any]:
        return self.wrong

    def fault_count(self) -> int:
        return self.faults

    def waiting(self, _workspace: str, **_times: int) -> int:
        return self.untried

    def tried(self, **_times: int) -> bool:
        return self.some_tried


class Consumer:
    """A topic whose records are at these offsets; the other offsets are markers of transactions."""

    def __init__(self, first: int, end: int, records: set[int]) -> None:
        self._first, self._end, self._records = first, end, records
        self._at = 0
        self.ends: dict[Partition, int] = {}
        self.assigned: list[Mapping[Partition, int]] = []

    def partitions_of(self, topics: Any) -> list[Partition]:
        return [ATTEMPTS] if ATTEMPTS[0] in topics else []

    def watermarks(self, partitions: list[Partition]) -> dict[Partition, tuple[int, int]]:
        return dict.fromkeys(partitions, (self._first, self._end))

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        self.assigned.append(offsets)
        self._at = offsets.get(ATTEMPTS, 0)

    def consume(self, _count: int, _timeout: float) -> list[Any]:
        left = sorted(offset for offset in self._records if offset >= self._at)
        if not left:
            self.ends = {ATTEMPTS: self._end}
            return []
        self._at = left[0] + 1
        return [SimpleNamespace(topic=lambda: ATTEMPTS[0], partition=lambda: ATTEMPTS[1], offset=lambda: left[0])]


def watch(ledger: Ledger, completed: list[int] | None = None) -> tuple[BalanceWatch, ProcessorMetrics]:
    metrics = ProcessorMetrics(CollectorRegistry())
    made = BalanceWatch(
        topics=["attempts"],
        workspaces=lambda: ["acme"],
        new_consumer=lambda: pytest.fail("none is needed"),
        create=lambda: None,
        complete=([] if completed is None else completed).append,
        balance=ledger,  # type: ignore[arg-type]
        metrics=metrics,
    )
    return made, metrics


@pytest.mark.parametrize(
    ("indexed", "consumer", "complete"),
    [
        (9, Consumer(0, 9, set(range(9))), True),
        (8, Consumer(0, 9, set(range(8))), True),
        (8, Consumer(0, 9, set(range(9))), False),
        (0, Consumer(0, 0, set()), True),
        (0, Consumer(7, 9, set()), True),
        (0, Consumer(7, 9, {8}), False),
        (0, Consumer(0, 5_000, set()), False),
    ],
    ids=["all read", "a marker at the end", "a record", "empty", "all expired", "some left", "far behind"],
)
def test_the_ledger_is_complete_when_no_record_is_behind_what_it_has_read(
    indexed: int, consumer: Any, *, complete: bool
) -> None:
    completed: list[int] = []
    looking, metrics = watch(Ledger(indexed), completed)
    before = timestamps.now()
    assert looking.is_complete(consumer) is complete
    assert len(completed) == complete
    assert all(before <= until <= timestamps.now() for until in completed)
    shown = metrics.registry.get_sample_value("headrace_ledger_complete_until_seconds")
    assert shown == (completed[0] / 1_000_000 if complete else 0)


def test_what_does_not_add_up_is_an_alert_once_its_hour_is_over(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger()
    looking, metrics = watch(ledger)
    now = timestamps.now()
    hours = (now // HOUR * HOUR, (now // HOUR - 2) * HOUR)
    ledger.wrong = [SimpleNamespace(workspace="acme", endpoint="hook", difference=2, hour=hour) for hour in hours]
    ledger.faults = 3
    with caplog.at_level(logging.ERROR):
        looking.count()
    assert metrics.registry.get_sample_value("headrace_balance_unbalanced") == 1
    assert metrics.registry.get_sample_value("headrace_balance_routing_faults") == 3
    assert [record.getMessage() for record in caplog.records] == ["deliveries do not add up"]


def test_more_and_more_deliveries_of_which_none_is_tried_are_an_alert() -> None:
    ledger = Ledger()
    looking, metrics = watch(ledger)

    def alert(waiting: int, *, tried: bool) -> float | None:
        ledger.untried, ledger.some_tried = waiting, tried
        looking.count()
        return metrics.registry.get_sample_value("headrace_balance_untried")

    assert alert(5, tried=True) == 0
    assert alert(9, tried=False) == 9
    assert alert(9, tried=False) == 0, "they do not grow in number"
    assert alert(12, tried=True) == 0
