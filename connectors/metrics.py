"""Prometheus metrics of the connectors."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

REPLACED = "Kafka consumers that got nothing although there was something to read."

FORGED = "Records of the catalog that nobody with the secret keys wrote: an alert."


class WebhookMetrics:
    """What one webhook connector counts. No label names an endpoint: their number has no bound.

    Attributes:
        attempts: tries, by outcome (``delivered``, ``retrying``, ``dead``, ``cancelled``).
        duration: seconds that a request took.
        latency: seconds from routing to a delivery that succeeded.
        postponed: deliveries sent to a retry tier without a try, by reason (``paused``, ``busy``).
        poison: records that were set aside, by topic.
        refused: requests that the SSRF guard stopped.
        pending: deliveries queued or under way.
        oldest_waiting: seconds since the oldest delivery that waits for its turn was routed, by what it waits for
            (``busy``: the endpoint has older ones to answer; ``paused``: it asked for a pause, or failed too often).
            One that failed and waits for its next try does not count.
        hops: deliveries moved between retry tiers or back, by tier.
        hop_aborts: transactions of the hopper that did not commit.
        consumers_replaced: Kafka consumers that got nothing although there was something to read.
        catalog_forged: records of the catalog that nobody with the secret keys wrote: an alert.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        name = "headrace_webhook"
        self.attempts = Counter(f"{name}_attempts", "Tries by outcome.", ["outcome"], registry=registry)
        self.duration = Histogram(
            f"{name}_request_seconds", "Seconds that a request took.", buckets=_SECONDS, registry=registry
        )
        self.latency = Histogram(
            f"{name}_latency_seconds", "Seconds from routing to delivery.", buckets=_SECONDS, registry=registry
        )
        self.postponed = Counter(
            f"{name}_postponed", "Deliveries put off without a try, by reason.", ["reason"], registry=registry
        )
        self.poison = Counter(f"{name}_poison", "Records set aside, by topic.", ["topic"], registry=registry)
        self.refused = Counter(f"{name}_refused", "Requests that the SSRF guard stopped.", registry=registry)
        self.pending = Gauge(
            f"{name}_pending", "Deliveries queued or under way.", registry=registry, multiprocess_mode="livesum"
        )
        self.oldest_waiting = Gauge(
            f"{name}_oldest_waiting_seconds",
            "Age of the oldest delivery that waits for its turn, by reason.",
            ["reason"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.hops = Counter(f"{name}_retry_hops", "Deliveries moved off a retry tier.", ["tier"], registry=registry)
        self.hop_aborts = Counter(f"{name}_retry_hop_aborts", "Hops that did not commit.", registry=registry)
        self.consumers_replaced = Counter(f"{name}_consumers_replaced", REPLACED, registry=registry)
        self.catalog_forged = Counter(f"{name}_catalog_forged", FORGED, registry=registry)


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
