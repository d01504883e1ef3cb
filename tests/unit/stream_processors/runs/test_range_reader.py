"""Reading ranges of topics that change meanwhile."""

from __future__ import annotations

import pytest

from backbone.kafka.records import Record
from schemas.model.run import OffsetRange
from stream_processors.runs import range_reader
from stream_processors.runs.range_reader import RangeReader
from tests.unit.stream_processors.runs.doubles import Consumer, Log

PLACE = ("events.acme.n.c", 0)
OTHER = ("events.acme.n.d", 0)


@pytest.mark.parametrize("left", [None, 2], ids=["deleted", "made anew"])
def test_the_rest_of_a_topic_that_was_deleted_meanwhile_is_lost(
    left: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_reader, "_SILENCE", 0.0)
    monkeypatch.setattr(Consumer, "most", 4)
    log = Log()
    for place in (PLACE, OTHER):
        for _ in range(10):
            log.append(Record(place[0], b"value", None))
    reader = RangeReader(lambda: Consumer(log), [OffsetRange(*PLACE, 0, 10), OffsetRange(*OTHER, 0, 10)])  # type: ignore[arg-type,return-value]
    assert reader.fetch(4)
    assert [reader.take() is not None for _ in range(4)] == [True] * 4

    kept = log.partitions.pop(PLACE)
    if left is not None:
        log.partitions[PLACE] = kept[:left]
    taken = 0
    for _ in range(20):
        reader.fetch(4)
        while reader.take() is not None:
            taken += 1

    assert reader.is_done
    assert (taken, reader.take_lost()) == (10, 6)


def test_a_range_that_is_silent_for_another_reason_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_reader, "_SILENCE", 0.0)
    log = Log()
    log.append(Record(PLACE[0], b"value", None))
    reader = RangeReader(lambda: Consumer(log), [OffsetRange(*PLACE, 0, 1)])  # type: ignore[arg-type,return-value]
    consume = Consumer.consume
    monkeypatch.setattr(Consumer, "consume", lambda *_: [])

    assert not any(reader.fetch(4) for _ in range(5))

    monkeypatch.setattr(Consumer, "consume", consume)
    assert reader.fetch(4)
    assert reader.take() is not None
    assert reader.is_done
    assert reader.take_lost() == 0
