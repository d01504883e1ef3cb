"""How long a filter that is tried on the last events may ask Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbone.catalog.view import CatalogView
from backbone.kafka.settings import KafkaSettings
from backbone.publishing import dry_run as module
from backbone.publishing.dry_run import dry_run
from backbone.thread_turns import ThreadTurns
from schemas.model.endpoint import EventFilter
from schemas.model.errors import CorruptRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest


class Impatient:
    """A consumer of topics without a record, which keeps how long it was to wait for its answers."""

    def __init__(self, timeouts: list[float]) -> None:
        self._timeouts = timeouts
        self.ends: dict[Any, int] = {}

    def partitions_of(self, topics: Iterable[str], timeout: float) -> list[tuple[str, int]]:
        self._timeouts.append(timeout)
        return [(topic, 0) for topic in topics]

    def watermarks(self, partitions: Iterable[Any], timeout: float) -> dict[Any, tuple[int, int]]:
        self._timeouts.append(timeout)
        return dict.fromkeys(partitions, (5, 5))

    def assign(self, offsets: dict[Any, int]) -> None:
        assert offsets == {}

    def close(self) -> None:
        pass


def test_no_question_may_take_longer_than_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts: list[float] = []
    monkeypatch.setattr(module, "BatchConsumer", lambda *_args, **_options: Impatient(timeouts))
    catalog: Any = type("Catalog", (), {"view": CatalogView()})
    event_filter = EventFilter(id="", workspace="w", name="f", types=(), created_at=0, updated_at=0)

    assert dry_run(KafkaSettings(), catalog, event_filter, last=10, seconds=0.5, turns=ThreadTurns()) == []

    assert len(timeouts) == 2
    assert max(timeouts) <= 0.5


class OneRecord(Impatient):
    """A consumer of a topic with one record."""

    def partitions_of(self, topics: Iterable[str], timeout: float) -> list[tuple[str, int]]:  # noqa: ARG002
        return [("t", 0)]

    def watermarks(self, partitions: Iterable[Any], timeout: float) -> dict[Any, tuple[int, int]]:  # noqa: ARG002
        return dict.fromkeys(partitions, (0, 1))

    def assign(self, offsets: dict[Any, int]) -> None:
        assert offsets == {("t", 0): 0}

    def consume(self, most: int, wait: float) -> list[Any]:  # noqa: ARG002
        methods = {"topic": "t", "partition": 0, "offset": 0, "value": b"an event"}
        return [type("Record", (), {name: lambda _, value=value: value for name, value in methods.items()})()]


def test_an_event_is_looked_at_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that all work at once keep the interpreter from the event loop."""
    turns, in_turn = ThreadTurns(), []

    class Decoders:
        def __init__(self, _catalog: object) -> None: ...

        def decode(self, _value: bytes) -> None:
            in_turn.append(turns.lock.locked())
            raise CorruptRecord("it is none")

    monkeypatch.setattr(module, "BatchConsumer", lambda *_args, **_options: OneRecord([]))
    monkeypatch.setattr(module, "Decoders", Decoders)
    catalog: Any = type("Catalog", (), {"view": CatalogView()})
    event_filter = EventFilter(id="", workspace="w", name="f", types=(), created_at=0, updated_at=0)
    assert dry_run(KafkaSettings(), catalog, event_filter, last=10, seconds=5, turns=turns) == []
    assert in_turn == [True]
