"""Prometheus metrics of the webhook connector."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from backbone.process.bounded_labels import BoundedLabels
from connectors.shared.metrics import FORGED, REPLACED

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class WebhookMetrics:
    """What one webhook connector counts. The number of endpoints that a label names is bounded.

    Args:
        registry: where they are shown.
        most_labels: endpoints that are named; all later ones are ``other``.

    Attributes:
        attempts: tries, by outcome (``delivered``, ``retrying``, ``dead``, ``cancelled``).
        endpoint_attempts: the same by endpoint; ``endpoints`` has its labels.
        first_attempt: seconds from routing to the first try.
        duration: seconds that a request took.
        latency: seconds from routing to a delivery that succeeded.
        postponed: deliveries sent to a retry tier without a try, by reason (``paused``, ``busy``,
            ``limited``: by the endpoint's rate limit).
        poison: records that were set aside, by topic.
        refused: requests that the SSRF guard stopped.
        pending: deliveries queued or under way.
        oldest_waiting: seconds since the oldest delivery that waits for its turn was routed, by what it waits for
            (``busy``: the endpoint has older ones to answer; ``paused``: it asked for a pause, or failed too often).
            One that failed and waits for its next try does not count.
        hops: deliveries moved between retry tiers or back, by tier.
        hop_aborts: transactions of the retry scheduler that did not commit.
        consumers_replaced: Kafka consumers that got nothing although there was something to read.
        catalog_forged: records of the catalog that nobody with the secret keys wrote: an alert.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, most_labels: int = 0) -> None:
        name = "headrace_webhook"
        self.endpoints = BoundedLabels(most_labels)
        self.endpoint_attempts = Counter(
            f"{name}_endpoint_attempts",
            "Tries by endpoint and outcome; past the bound: other.",
            ["endpoint", "outcome"],
            registry=registry,
        )
        self.first_attempt = Histogram(
            f"{name}_first_attempt_seconds",
            "Seconds from routing to the first try.",
            buckets=_SECONDS,
            registry=registry,
        )
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
