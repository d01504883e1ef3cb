"""Prometheus metrics of a realtime node."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from connectors.metrics import FORGED, REPLACED


class RealtimeMetrics:
    """What one node counts. No label names a channel or a client: their number has no bound.

    Attributes:
        connections: open now.
        subscriptions: of them, now.
        publications: records read and numbered.
        pushed: publications sent, times their receivers.
        recoveries: subscriptions that asked for what they missed, by outcome (``recovered``, ``lost``).
        closed: connections that the node ended, by code.
        history_bytes: kept for recovery.
        misplaced: records on a partition that their key does not belong to; they are passed over.
        positions: writes of ``channel-positions``, by outcome (``written``, ``failed``).
        consumers_replaced: Kafka consumers that got nothing although there was something to read.
        catalog_forged: records of the catalog that nobody with the secret keys wrote: an alert.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        name = "headrace_realtime"
        self.connections = Gauge(
            f"{name}_connections", "Open connections.", registry=registry, multiprocess_mode="livesum"
        )
        self.subscriptions = Gauge(
            f"{name}_subscriptions", "Their subscriptions.", registry=registry, multiprocess_mode="livesum"
        )
        self.publications = Counter(f"{name}_publications", "Records numbered.", registry=registry)
        self.pushed = Counter(f"{name}_pushed", "Publications sent, times receivers.", registry=registry)
        self.recoveries = Counter(f"{name}_recoveries", "Recoveries by outcome.", ["outcome"], registry=registry)
        self.closed = Counter(f"{name}_closed", "Connections ended by us, by code.", ["code"], registry=registry)
        self.history_bytes = Gauge(
            f"{name}_history_bytes", "Kept for recovery.", registry=registry, multiprocess_mode="livesum"
        )
        self.misplaced = Counter(f"{name}_misplaced", "Records on another key's partition.", registry=registry)
        self.positions = Counter(f"{name}_position_writes", "Writes by outcome.", ["outcome"], registry=registry)
        self.consumers_replaced = Counter(f"{name}_consumers_replaced", REPLACED, registry=registry)
        self.catalog_forged = Counter(f"{name}_catalog_forged", FORGED, registry=registry)
