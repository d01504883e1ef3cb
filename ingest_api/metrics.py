"""Counters and times of the ingest plane."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from backbone.exposition import exposed

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """One set per worker process; with ``PROMETHEUS_MULTIPROC_DIR`` set, ``exposition`` shows all processes."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "headrace_ingest_requests", "Requests answered.", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "headrace_ingest_request_seconds",
            "From the request's head to its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._events = Counter(
            "headrace_ingest_events", "Events acknowledged by Kafka.", ("family",), registry=self._registry
        )
        self._repeats = Counter(
            "headrace_ingest_repeated_events",
            "Events answered from an earlier request with the same idempotency key.",
            ("family",),
            registry=self._registry,
        )
        self._corrupt = Counter(
            "headrace_ingest_corrupt_records",
            "Records of internal topics that could not be read.",
            ("topic",),
            registry=self._registry,
        )
        self._consumers_replaced = Counter(
            "headrace_ingest_consumers_replaced",
            "Kafka consumers that got nothing although there was something to read.",
            registry=self._registry,
        )
        self._catalog_forged = Counter(
            "headrace_ingest_catalog_forged",
            "Records of the catalog that nobody with the secret keys wrote: an alert.",
            registry=self._registry,
        )
        self._answered: dict[tuple[str, int], Counter] = {}
        self._timed: dict[str, Histogram] = {}
        self._accepted: dict[str, Counter] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request. ``route`` is its template, never a caller's text."""
        counter = self._answered.get((route, status))
        if counter is None:
            counter = self._answered[route, status] = self._requests.labels(route, str(status))
        histogram = self._timed.get(route)
        if histogram is None:
            histogram = self._timed[route] = self._seconds.labels(route)
        counter.inc()
        histogram.observe(seconds)

    def accepted(self, family: str, events: int, repeated: int) -> None:
        """Count acknowledged events, and those of them that a repeat was answered with."""
        counter = self._accepted.get(family)
        if counter is None:
            counter = self._accepted[family] = self._events.labels(family)
        counter.inc(events - repeated)
        if repeated:
            self._repeats.labels(family).inc(repeated)

    def corrupt(self, topic: str) -> None:
        """Count a record that was set aside."""
        self._corrupt.labels(topic).inc()

    def catalog_forged(self) -> None:
        """Count a record of the catalog that nobody with the secret keys wrote."""
        self._catalog_forged.inc()

    def consumer_replaced(self) -> None:
        """Count a Kafka consumer that got nothing although there was something to read."""
        self._consumers_replaced.inc()

    def exposition(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(exposed(self._registry))
