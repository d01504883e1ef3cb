"""Prometheus metrics of a realtime node."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from connectors.shared.metrics import FORGED, REPLACED


class RealtimeMetrics:
    """The metrics of one node. No label names a channel or a client: their number has no bound.

    Attributes:
        connections: open connections.
        subscriptions: of the open connections.
        publications: records read and numbered.
        pushed: publications sent, counted once for each receiver.
        recoveries: subscriptions that asked for missed publications, by outcome (``recovered``, ``lost``).
        closed: connections that the node ended, by code.
        history_bytes: bytes of the publications that are kept for recovery.
        misplaced: records on a partition that their key does not belong to; they are skipped.
        positions: writes of ``channel-positions``, by outcome (``written``, ``failed``).
        consumers_replaced: Kafka consumers that were replaced because they stalled.
        catalog_forged: catalog records without a valid MAC; alert on them.
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
