from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from backbone.kafka.settings import KafkaSettings
from backbone.process.collection import ALLOCATIONS_PER_COLLECTION, MIDDLE, OLDEST
from backbone.process.health import Health

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    gc.unfreeze()
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.fixture
def health() -> Health:
    return Health(KafkaSettings(bootstrap_servers="127.0.0.1:1"))


def test_a_process_that_is_ready_spares_the_collector(health: Health) -> None:
    health.ready()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() == (ALLOCATIONS_PER_COLLECTION, MIDDLE, OLDEST)


def test_a_process_that_recovers_does_not_freeze_what_is_passing(health: Health) -> None:
    health.ready()
    frozen = gc.get_freeze_count()
    passing: list[list[int]] = [[] for _ in range(50_000)]
    health.unready("No room.")
    health.ready()
    assert gc.get_freeze_count() < frozen + len(passing)
