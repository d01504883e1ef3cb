"""The receipts of a pause are read in steps, so that other runs go on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.kafka.records import Record
from schemas.model import topics
from schemas.model.delivery import ReceiptKind, RoutingReceipt
from schemas.model.errors import Unavailable
from schemas.model.run import OffsetRange, Run, RunKind
from stream_processors.runs import held_ranges
from stream_processors.runs.held_ranges import HeldRanges
from tests.unit.stream_processors.runs.doubles import NOW, SETTINGS, Consumer, Log

if TYPE_CHECKING:
    from backbone.kafka.records import Partition

EVENTS = "events.acme.n.c"
SINCE = 7
RUN = Run(
    id="run",
    kind=RunKind.BACKFILL,
    workspace="acme",
    endpoint="hook",
    held_since=SINCE,
    requested_by="me",
    created_at=0,
)


class Kafka:
    """A log whose polls take three tenths of a second each, and give two records."""

    def __init__(self) -> None:
        self.log = Log()
        self.seconds = 0.0
        self.opened = 0
        self.is_away = False
        self.committed: dict[Partition, int | None] = {}

    def consumer(self, _settings: Any, **_options: Any) -> Any:
        return GroupConsumer(self)

    def receipt(self, first: int, end: int, *, held: int | None = SINCE) -> None:
        receipt = RoutingReceipt(
            kind=ReceiptKind.ROUTED,
            topic=EVENTS,
            partition=0,
            first_offset=first,
            next_offset=end,
            events=end - first,
            held={} if held is None else {"hook": (held, end - first)},
            routed_at=NOW,
        )
        self.log.append(Record(topics.ROUTING_RECEIPTS, msgspec.json.encode(receipt)))


class GroupConsumer(Consumer):
    most = 2

    def __init__(self, kafka: Kafka) -> None:
        super().__init__(kafka.log)
        self._kafka = kafka
        kafka.opened += 1

    def consume(self, count: int, timeout: float) -> list[Any]:
        self._kafka.seconds += 0.3
        return [] if self._kafka.is_away else super().consume(count, timeout)

    def end_offsets(self, places: list[Partition]) -> dict[Partition, int]:
        return {each: self._kafka.log.end(each) for each in places}

    def offsets_for_times(self, times: dict[Partition, int]) -> dict[Partition, int | None]:
        return dict.fromkeys(times, 0)

    def committed(self, places: Any) -> dict[Partition, int | None]:
        return {each: self._kafka.committed.get(each) for each in places}

    def close(self) -> None:
        self._kafka.opened -= 1


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    made = Kafka()
    monkeypatch.setattr(held_ranges, "BatchConsumer", made.consumer)
    monkeypatch.setattr(held_ranges, "time", SimpleNamespace(monotonic=lambda: made.seconds))
    return made


def test_a_long_pause_is_found_in_steps(kafka: Kafka) -> None:
    for number in range(20):
        kafka.receipt(10 * number, 10 * number + 5, held=SINCE if number % 2 else None)
    held = HeldRanges(SETTINGS, "routers")

    answers, longest = [], 0.0
    while not answers or answers[-1] is None:
        began = kafka.seconds
        answers.append(held.find(RUN, []))
        longest = max(longest, kafka.seconds - began)

    assert answers[-1] == tuple(OffsetRange(EVENTS, 0, 10 * number, 10 * number + 5) for number in range(1, 20, 2))
    assert len(answers) >= 4
    assert longest < 1
    assert kafka.opened == 0


def test_it_is_asked_again_until_the_routers_are_past_the_end_of_the_pause(kafka: Kafka) -> None:
    kafka.log.append(Record(EVENTS, b"event"))
    kafka.receipt(0, 1)
    held = HeldRanges(SETTINGS, "routers")
    assert held.find(RUN, [EVENTS]) is None
    kafka.committed[EVENTS, 0] = 0
    assert held.find(RUN, [EVENTS]) is None
    kafka.committed[EVENTS, 0] = 1
    assert held.find(RUN, [EVENTS]) == (OffsetRange(EVENTS, 0, 0, 1),)


def test_who_leaves_off_leaves_nothing_open(kafka: Kafka) -> None:
    for number in range(20):
        kafka.receipt(number, number + 1)
    held = HeldRanges(SETTINGS, "routers")
    assert held.find(RUN, []) is None
    assert kafka.opened == 1
    held.forget(RUN.id)
    assert kafka.opened == 0


def test_a_kafka_that_says_nothing_more_is_told(kafka: Kafka) -> None:
    kafka.receipt(0, 1)
    kafka.is_away = True
    held = HeldRanges(SETTINGS, "routers")

    def find_for_ten_minutes() -> None:
        while held.find(RUN, []) is None:
            assert kafka.seconds < 600

    with pytest.raises(Unavailable):
        find_for_ten_minutes()
    assert kafka.opened == 0
