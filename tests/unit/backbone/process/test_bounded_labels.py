from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from backbone.process.bounded_labels import BoundedLabels
from backbone.process.build_info import show_build


def test_past_the_bound_all_values_share_a_label() -> None:
    labels = BoundedLabels(2)
    assert [labels.label(value) for value in "abcab"] == ["a", "b", "other", "a", "b"]
    assert BoundedLabels(0).label("a") == "other"


def test_a_process_tells_its_version() -> None:
    registry = CollectorRegistry()
    show_build("router", registry)
    (line,) = [each for each in generate_latest(registry).decode().splitlines() if not each.startswith("#")]
    assert line.startswith('headrace_build_info{process="router",version="')
    assert line.endswith("} 1.0")
