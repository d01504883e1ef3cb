"""Metrics of the stream processors (prometheus-client; workers share ``PROMETHEUS_MULTIPROC_DIR``)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ProcessorMetrics:
    """The metrics of a worker; one object per process, passed to the code that counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.routed_events = Counter(
            "headrace_routed_events", "Events matched in committed transactions", registry=registry
        )
        self.routed_deliveries = Counter(
            "headrace_routed_deliveries", "Deliveries in committed transactions", ["topic"], registry=registry
        )
        self.skipped_offsets = Counter(
            "headrace_router_skipped_offsets", "Offsets passed over with a receipt", registry=registry
        )
        self.transactions = Counter(
            "headrace_router_transactions", "Transactions by outcome", ["outcome"], registry=registry
        )
        self.transaction_seconds = Histogram(
            "headrace_router_transaction_seconds",
            "From the first record to the commit",
            buckets=_SECONDS,
            registry=registry,
        )
        self.routing_seconds = Histogram(
            "headrace_routing_seconds",
            "From an event's append to the commit of its deliveries, for the first event of a transaction",
            buckets=_SECONDS,
            registry=registry,
        )
        self.set_aside = Counter(
            "headrace_set_aside", "Poison records moved to dead-letters", ["agent"], registry=registry
        )
        self.over_budget = Counter(
            "headrace_router_over_budget",
            "Deliveries set aside: a condition took too many steps, or an event was too large for so many endpoints",
            registry=registry,
        )
        self.dropped_batches = Counter(
            "headrace_router_dropped_batches", "Queued batches of an earlier generation", registry=registry
        )
        self.assigned_partitions = Gauge(
            "headrace_assigned_partitions",
            "Partitions this worker reads",
            ["agent"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.consumers_replaced = Counter(
            "headrace_processor_consumers_replaced",
            "Kafka consumers that got nothing although there was something to read",
            registry=registry,
        )
        self.catalog_forged = Counter(
            "headrace_processor_catalog_forged",
            "Records of the catalog that nobody with the secret keys wrote: an alert",
            registry=registry,
        )
        self.indexed_records = Counter("headrace_ledger_records", "Records indexed into the ledger", registry=registry)
        self.ledger_complete_until = Gauge(
            "headrace_ledger_complete_until_seconds",
            "When Kafka last had nothing that the ledger did not have, seconds since the epoch",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.unbalanced = Gauge(
            "headrace_balance_unbalanced",
            "Endpoints and hours, of the last two, whose deliveries do not add up: an alert",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.routing_faults = Gauge(
            "headrace_balance_routing_faults",
            "Ranges of offsets that no routing receipt accounts for, or two do: an alert",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.untried = Gauge(
            "headrace_balance_untried",
            "Deliveries that wait, if they grow in number and none is tried: an alert",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.runs = Gauge(
            "headrace_runs",
            "Runs at work here; one that waits for its rate is not",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.run_deliveries = Counter(
            "headrace_run_deliveries", "Deliveries that runs have written, by kind", ["kind"], registry=registry
        )
        self.run_transactions = Counter(
            "headrace_run_transactions", "Transactions of runs by outcome", ["outcome"], registry=registry
        )
        self.expired_letters = Counter(
            "headrace_dead_letters_expired",
            "Dead letters that were too old before anybody settled them",
            registry=registry,
        )
