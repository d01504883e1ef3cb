"""``route*``: events routed per CPU-second of a router, against three ways of doing the same work.

``route.10k_subscriptions`` is the same work among ten thousand subscriptions that want none of the events, against that
without them.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.settings import KafkaSettings
from operations.bench import workload
from operations.bench.crowd import crowd
from operations.bench.measure import Figure, cpu_seconds
from operations.bench.setup import PARTITIONS, fill, order_type, schema_of, subscribe, wait_until_routed

if TYPE_CHECKING:
    from operations.bench.rig import Rig
    from operations.bench.setup import Producer

EVENTS = 200_000
_FAUST_EVENTS = 50_000
"""An eighth of a minute of it is enough."""
_GROUP = "headrace-router"
_CODE = "bench.routed"
_CROWDED = "bench.crowded"
_CROWD = 10_000
_QUIX = "quixstreams==3.28.1"


class _Rate(NamedTuple):
    """Events a second: of the process's CPU time, and of time."""

    per_cpu_second: float
    by_the_clock: float


def figures(rig: Rig) -> list[Figure]:
    """Route a topic of typed events through one subscription with a condition over their data."""
    with rig.plane("ingest"):
        producer = _filled(rig, _CODE)
        schema = schema_of(rig, producer.topic)
    headrace = _routed(rig, producer.topic)
    with rig.plane("ingest"):
        crowded = _filled(rig, _CROWDED)
    crowd(rig, crowded.topic, _CROWD)
    found = [_figure("route.10k_subscriptions", _routed(rig, crowded.topic), "route", headrace)]
    job: dict[str, object] = {
        "topic": producer.topic,
        "partitions": PARTITIONS,
        "out": "bench-routed",
        "count": EVENTS,
        "schema": schema,
    }
    Admin(KafkaSettings(bootstrap_servers=rig.bootstrap)).ensure_topics_now(
        [TopicSpec(topic="bench-routed", partitions=PARTITIONS, config={})]
    )
    for stage, against, goal, python, yardstick_job in (
        ("route", "bare_route", 0.3, sys.executable, job),
        ("route.vs_quix", "quix_route", 1.0, _quix_python(), job),
        ("route.vs_faust", "faust_route", None, sys.executable, {**job, "count": _FAUST_EVENTS}),
    ):
        result = rig.job(against, yardstick_job, python=python)
        yardstick = _Rate(result["events"] / result["cpu"], result["events"] / result["wall"])
        found.append(_figure(stage, headrace, against, yardstick, goal))
    return found


def _figure(stage: str, ours: _Rate, against: str, yardstick: _Rate, goal: float | None = None) -> Figure:
    return Figure(
        stage=stage,
        value=ours.per_cpu_second,
        unit="events/CPU-s",
        yardstick=yardstick.per_cpu_second,
        ratio=ours.per_cpu_second / yardstick.per_cpu_second,
        goal=goal,
        against=against.replace("_", " "),
        wall=f"{ours.by_the_clock:,.0f}/s; yardstick {yardstick.by_the_clock:,.0f}/s",
    )


def _filled(rig: Rig, code: str) -> Producer:
    """A topic of typed events, and one subscription with a condition over their data."""
    producer = order_type(rig, code)
    # Nothing is delivered in this stage: the records end on deliveries.webhook.
    subscribe(rig, "http://127.0.0.1:9/", code, workload.CONDITION)
    fill(rig, producer, code, EVENTS)
    return producer


def _routed(rig: Rig, topic: str) -> _Rate:
    """Of the router from start to the end of the topic, less what a start with nothing to route costs."""
    with rig.plane("router") as pid:
        started = time.perf_counter()
        wait_until_routed(rig, topic, _GROUP)
        wall = time.perf_counter() - started
        used = cpu_seconds(pid)
    with rig.plane("router") as pid:
        time.sleep(wall)
        idle = cpu_seconds(pid)
    return _Rate(EVENTS / (used - idle), EVENTS / wall)


def _quix_python() -> str:
    """Quix Streams in a virtual environment of its own, made once: it pins an older confluent-kafka."""
    home = Path("build/quix-venv").resolve()
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        print("Installing Quix Streams into build/quix-venv (once)")
        with contextlib.suppress(FileExistsError):
            venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", _QUIX, "fastavro"], check=True)
        (home / "ready").touch()
    return str(python)
