"""Which version of which process a metric comes from."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


def show_build(process: str, registry: CollectorRegistry = REGISTRY) -> None:
    """Show ``headrace_build_info``, which is always 1, with the version and the process as labels."""
    info = Gauge(
        "headrace_build_info",
        "Always 1; the labels say which process of which version runs.",
        ("process", "version"),
        registry=registry,
        multiprocess_mode="livemax",
    )
    info.labels(process, version("headrace")).set(1)
