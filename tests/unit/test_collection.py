from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from backbone import collection
from connectors import file_main
from connectors import main as connectors_main
from stream_processors import main as processors_main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    gc.unfreeze()
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.parametrize(
    "ready", [connectors_main._ready, processors_main._ready, lambda: file_main._mark(healthy=True)]
)
def test_a_plane_that_is_ready_spares_the_collector(ready: Callable[[], None]) -> None:
    ready()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() == (collection.ALLOCATIONS_PER_COLLECTION, 20, 20)


def test_a_file_sink_that_recovers_does_not_freeze_what_is_passing() -> None:
    file_main._mark(healthy=True)
    frozen = gc.get_freeze_count()
    passing = [[] for _ in range(50_000)]
    file_main._mark(healthy=False)
    file_main._mark(healthy=True)
    assert gc.get_freeze_count() < frozen + len(passing)
