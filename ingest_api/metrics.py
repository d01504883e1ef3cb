"""Counters and times of the ingest plane."""

from __future__ import annotations

from collections import Counter as Tally
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, generate_latest

from backbone.process.bounded_labels import BoundedLabels
from backbone.process.build_info import show_build
from backbone.process.exposition import exposed
from ingest_api.tallies import BulkHistogram, Tallies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ingest_api.tallies import Series, Times
    from schemas.model.event import Receipt

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """One set per worker process; with ``PROMETHEUS_MULTIPROC_DIR`` set, ``exposition`` shows all processes.

    Args:
        most_labels: event types that are named; all later ones are ``other``.
    """

    def __init__(self, most_labels: int = 0) -> None:
        self._registry = CollectorRegistry()
        show_build("ingest", self._registry)
        self._types = BoundedLabels(most_labels)
        self._type_events = Counter(
            "headrace_ingest_type_events",
            "Events acknowledged by Kafka, by topic; past the bound: other.",
            ("topic",),
            registry=self._registry,
        )
        self._acknowledgement = BulkHistogram(
            "headrace_ingest_acknowledgement_seconds",
            "From a request's admission to Kafka's acknowledgement of its events.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._requests = Counter(
            "headrace_ingest_requests", "Requests answered.", ("route", "status"), registry=self._registry
        )
        self._seconds = BulkHistogram(
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
        self._over_quota = Counter(
            "headrace_ingest_over_quota",
            "Requests that a quota refused, by whose quota it is and what it counts.",
            ("scope", "kind"),
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
        self._tallies = Tallies(_SECONDS, _hand_over)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request. ``route`` is its template, never a caller's text."""
        self._tallies.time((self._seconds, route), seconds)
        self._tallies.count((self._requests, route, str(status)))

    def accepted(self, family: str, events: int, repeated: int) -> None:
        """Count acknowledged events, and those of them that a repeat was answered with."""
        self._tallies.count((self._events, family), events - repeated)
        if repeated:
            self._tallies.count((self._repeats, family), repeated)

    def acknowledged(self, receipts: Sequence[Receipt], seconds: float) -> None:
        """Note how long Kafka took for the events of one request, and count them by type."""
        self._tallies.time((self._acknowledgement,), seconds)
        for topic, events in _by_topic(receipts):
            self._tallies.count((self._type_events, self._types.label(topic)), events)

    def over_quota(self, scope: str, kind: str) -> None:
        """Count a request that a quota refused."""
        self._over_quota.labels(scope, kind).inc()

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
        self._tallies.flush()
        return generate_latest(exposed(self._registry))


def _hand_over(counts: Mapping[Series, int], times: Mapping[Series, Times]) -> None:
    """Add to the metrics; each key is a metric and its labels."""
    for (counter, *labels), number in counts.items():
        counter.labels(*labels).inc(number)
    for (histogram, *labels), found in times.items():
        (histogram.labels(*labels) if labels else histogram).observe_all(found.counts, found.total)


def _by_topic(receipts: Sequence[Receipt]) -> Iterable[tuple[str, int]]:
    """How many events of each topic were written; those of a repeat were counted before."""
    if len(receipts) == 1:
        return () if receipts[0].repeated else ((receipts[0].topic, 1),)
    return Tally(receipt.topic for receipt in receipts if not receipt.repeated).items()
