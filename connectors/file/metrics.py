"""Prometheus metrics of the file sink."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from connectors.shared.metrics import FORGED, REPLACED


class FileMetrics:
    """What one file sink counts.

    Attributes:
        files, events, bytes: published.
        buffered: bytes read and not published yet.
        failing: 1 while files cannot be written: an alert.
        refused: tries that the storage refused.
        cancelled: deliveries whose endpoint is gone.
        poison: records that were set aside.
        overtaken: files that another sink had published first.
        consumers_replaced: Kafka consumers that got nothing although there was something to read.
        catalog_forged: records of the catalog that nobody with the secret keys wrote: an alert.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        name = "headrace_file"
        self.files = Counter(f"{name}_files", "Event files published.", registry=registry)
        self.events = Counter(f"{name}_events", "Events in published files.", registry=registry)
        self.bytes = Counter(f"{name}_bytes", "Bytes of published files.", registry=registry)
        self.buffered = Gauge(
            f"{name}_buffered_bytes",
            "Bytes that are in no file yet.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.failing = Gauge(
            f"{name}_storage_failing",
            "1 while event files cannot be written.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.refused = Counter(f"{name}_storage_refusals", "Tries that the storage refused.", registry=registry)
        self.cancelled = Counter(f"{name}_cancelled", "Deliveries whose endpoint is gone.", registry=registry)
        self.poison = Counter(f"{name}_poison", "Records set aside.", registry=registry)
        self.overtaken = Counter(f"{name}_overtaken", "Files that another sink published first.", registry=registry)
        self.consumers_replaced = Counter(f"{name}_consumers_replaced", REPLACED, registry=registry)
        self.catalog_forged = Counter(f"{name}_catalog_forged", FORGED, registry=registry)
