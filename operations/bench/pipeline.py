"""``transaction_commit`` and ``latency.*``: what a transaction costs, and how long an event takes to its webhook."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.settings import KafkaSettings
from operations.bench.measure import Figure, percentile
from operations.bench.paced import publish_paced
from operations.bench.setup import order_type, subscribe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from operations.bench.rig import Rig

SECONDS = 10.0
_RATES = (200, 1_000)
_CODE = "bench.paced"


def figures(rig: Rig) -> list[Figure]:
    """Publish → webhook at steady rates against the least an exactly-once pipeline takes at the same rate."""
    bare = {rate: _bare(rig, rate) for rate in _RATES}
    slow = bare[_RATES[0]]
    commit = Figure(
        stage="transaction_commit",
        value=slow["commit_p50"],
        unit="ms p50",
        yardstick=slow["ack_p50"],
        ratio=slow["ack_p50"] / slow["commit_p50"],
        goal=None,
        against="produce, acks=all",
        wall=f"p99 {slow['commit_p99']:.1f} ms",
    )
    measured = _latencies(rig)
    return [commit, *(_figure(rate, measured[rate], bare[rate]) for rate in _RATES)]


def _bare(rig: Rig, rate: int) -> dict[str, float]:
    """What the yardstick takes, on topics of its own."""
    topic, out = f"bench-pipeline-in-{rate}", f"bench-pipeline-out-{rate}"
    Admin(KafkaSettings(bootstrap_servers=rig.bootstrap)).ensure_topics_now(
        [TopicSpec(topic=name, partitions=1, config={}) for name in (topic, out)]
    )
    return rig.job("bare_pipeline", {"topic": topic, "out": out, "rate": rate, "seconds": SECONDS})


def _figure(rate: int, latencies: Sequence[float], bare: Mapping[str, float]) -> Figure:
    median = percentile(latencies, 0.5)
    return Figure(
        stage=f"latency.{rate}",
        value=median,
        unit="ms p50",
        yardstick=bare["p50"],
        ratio=bare["p50"] / median,
        goal=None,
        against="bare exactly-once pipeline",
        wall=f"p95 {percentile(latencies, 0.95):.1f} ms, p99 {percentile(latencies, 0.99):.1f} ms; "
        f"yardstick p99 {bare['p99']:.1f} ms",
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Python's 5 is fewer than the connections that may be opened at once: one that does not fit comes a second later.
    request_queue_size = 128


class Receiver:
    """A webhook receiver that notes when each event arrived first; its clock is that of the publisher."""

    def __init__(self) -> None:
        self.arrivals: dict[str, float] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                arrived = time.perf_counter()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.arrivals.setdefault(json.loads(body)["subject"], arrived)
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _latencies(rig: Rig) -> dict[int, list[float]]:
    """For each rate, milliseconds from sending the request to the arrival of the webhook, for every event published."""
    receiver = Receiver()
    found = {}
    try:
        with rig.plane("ingest"), rig.plane("router"), rig.plane("ledger"), rig.plane("connector", "webhook"):
            producer = order_type(rig, _CODE)
            subscribe(rig, receiver.url, _CODE, None)
            # The first events wait until the router has found the topic; they are not counted.
            publish_paced(rig.base_url, producer.key, _CODE, rate=10, seconds=1.0, prefix="warm")
            _until(lambda: any(subject.startswith("warm") for subject in receiver.arrivals))
            for rate in _RATES:
                sent = publish_paced(
                    rig.base_url, producer.key, _CODE, rate=rate, seconds=SECONDS, prefix=f"paced-{rate}"
                )
                _until(lambda sent=sent: all(subject in receiver.arrivals for subject in sent))  # type: ignore[misc]
                found[rate] = [(receiver.arrivals[subject] - at) * 1e3 for subject, at in sent.items()]
    finally:
        receiver.close()
    return found


def _until(condition: Callable[[], bool], timeout: float = 120.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the events did not arrive")
        time.sleep(0.05)
