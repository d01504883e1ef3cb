from __future__ import annotations

from typing import Any

import pytest

from backbone.kafka.alternating import AlternatingProducer
from schemas.model.errors import TransactionAborted, Unavailable


class FakeProducer:
    """Notes its calls, and raises what ``troubles`` has for one."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self._name, self._calls = name, calls
        self.troubles: dict[str, Exception] = {}

    def __getattr__(self, call: str) -> Any:
        def note(*_: Any) -> None:
            self._calls.append(f"{self._name}.{call}")
            if call in self.troubles:
                raise self.troubles[call]

        return note


def test_each_transaction_is_the_other_producers_and_both_are_started_and_closed() -> None:
    calls: list[str] = []
    first, second = FakeProducer("first", calls), FakeProducer("second", calls)
    producer = AlternatingProducer(first, second)  # type: ignore[arg-type]

    producer.start()
    for _ in range(3):
        producer.begin()
        producer.produce(None)  # type: ignore[arg-type]
        producer.send_offsets({}, None, {})
        producer.commit()
    second.troubles["commit"] = TransactionAborted("away")
    producer.begin()
    with pytest.raises(TransactionAborted):
        producer.commit()
    producer.abort()
    producer.end_hanging({}, None)  # type: ignore[arg-type]
    producer.close()

    transactions = [
        f"{name}.{call}"
        for name in ("first", "second", "first")
        for call in ("begin", "produce", "send_offsets", "commit")
    ]
    assert calls[:2] == ["first.start", "second.start"]
    assert calls[2:-4] == [*transactions, "second.begin", "second.commit", "second.abort"]
    assert {*calls[-4:-2]} == {"first.end_hanging", "second.end_hanging"}
    assert {*calls[-2:]} == {"first.close", "second.close"}


def test_when_one_cannot_start_both_are_closed() -> None:
    calls: list[str] = []
    first, second = FakeProducer("first", calls), FakeProducer("second", calls)
    second.troubles["start"] = Unavailable("Kafka is away")
    with pytest.raises(Unavailable):
        AlternatingProducer(first, second).start()  # type: ignore[arg-type]
    assert sorted(calls) == ["first.close", "first.start", "second.close", "second.start"]
