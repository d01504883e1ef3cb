"""How long a filter that is tried on the last events may ask Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbone import dry_run as module
from backbone.catalog.view import CatalogView
from backbone.dry_run import dry_run
from backbone.kafka.settings import KafkaSettings
from schemas.subscription import EventFilter

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

    assert dry_run(KafkaSettings(), catalog, event_filter, last=10, seconds=0.5) == []

    assert len(timeouts) == 2
    assert max(timeouts) <= 0.5
