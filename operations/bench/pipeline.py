"""``transaction_commit`` and ``latency.*``: what a transaction costs, and how long an event takes to its webhook."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.settings import KafkaSettings
from operations.bench.measure import Figure, percentile
from operations.bench.setup import order_type, subscribe
from operations.errors import CannotStart
from operations.supervisor.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operations.bench.rig import Rig

SECONDS = 10.0
_RATES = (200, 1_000)
_CODE = "bench.paced"
_TIMEOUT = 180.0


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


def _latencies(rig: Rig) -> dict[int, list[float]]:
    """For each rate, milliseconds from sending the request to the arrival of the webhook, for every event published."""
    port = free_port()
    with rig.plane("ingest"), rig.plane("router"), rig.plane("ledger"), rig.plane("connector", "webhook"):
        producer = order_type(rig, _CODE)
        subscribe(rig, f"http://127.0.0.1:{port}/", _CODE, None)
        job = {"url": f"{rig.base_url}/headrace/v1/events", "key": producer.key, "code": _CODE, "port": port}
        # The first events wait until the router has found the topic; they are not counted.
        _paced(rig, job, rate=10, seconds=1.0)
        return {rate: _paced(rig, job, rate=rate, seconds=SECONDS) for rate in _RATES}


def _paced(rig: Rig, job: Mapping[str, object], *, rate: int, seconds: float) -> list[float]:
    """Publish and receive in a process of its own; its clock is one, and neither shares an interpreter with a plane."""
    path = rig.home / f"paced-{rate}.json"
    path.write_text(json.dumps({**job, "rate": rate, "seconds": seconds, "prefix": f"paced-{rate}"}))
    command = [sys.executable, "-m", "operations.bench.paced", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT)
    if done.returncode != 0:
        raise CannotStart(f"Publishing at {rate}/s failed:\n{done.stderr[-2000:]}")
    latencies: list[float] = json.loads(done.stdout)["latencies"]
    return latencies
