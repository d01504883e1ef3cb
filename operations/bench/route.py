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
QUIX_VERSION = "3.28.1"


class Rate(NamedTuple):
    """Events per second of the process's CPU time, and by the clock."""

    per_cpu_second: float
    by_the_clock: float


def figures(rig: Rig) -> list[Figure]:
    """Route a topic of typed events through one subscription with a condition over their data."""
    with rig.plane("ingest"):
        producer = filled(rig, _CODE)
        schema = schema_of(rig, producer.topic)
    headrace = routed(rig, producer.topic)
    with rig.plane("ingest"):
        crowded = filled(rig, _CROWDED)
    crowd(rig, crowded.topic, _CROWD)
    found = [_figure("route.10k_subscriptions", routed(rig, crowded.topic), "route", headrace)]
    job = yardstick_job(rig, producer.topic, schema, EVENTS)
    for stage, against, goal, python, each in (
        ("route", "bare_route", 0.3, sys.executable, job),
        ("route.vs_quix", "quix_route", 1.0, quix_python(), job),
        ("route.vs_faust", "faust_route", None, sys.executable, {**job, "count": _FAUST_EVENTS}),
    ):
        found.append(_figure(stage, headrace, against, routed_by(rig, against, each, python), goal))
    return found


def yardstick_job(rig: Rig, topic: str, schema: str, events: int) -> dict[str, object]:
    """The job of a yardstick that routes a topic of typed events; makes the topic that it routes to."""
    out = TopicSpec(topic="bench-routed", partitions=PARTITIONS, config={})
    Admin(KafkaSettings(bootstrap_servers=rig.bootstrap)).ensure_topics_now([out])
    return {"topic": topic, "partitions": PARTITIONS, "out": out.topic, "count": events, "schema": schema}


def routed_by(rig: Rig, yardstick: str, job: dict[str, object], python: str = sys.executable) -> Rate:
    """The rate of a yardstick."""
    result = rig.job(yardstick, job, python=python)
    return Rate(result["events"] / result["cpu"], result["events"] / result["wall"])


def _figure(stage: str, ours: Rate, against: str, yardstick: Rate, goal: float | None = None) -> Figure:
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


def filled(rig: Rig, code: str, events: int = EVENTS) -> Producer:
    """A topic of typed events, and one subscription with a condition over their data."""
    producer = order_type(rig, code)
    # Nothing is delivered in this stage: the records end on deliveries.webhook.
    subscribe(rig, "http://127.0.0.1:9/", code, workload.CONDITION)
    fill(rig, producer, code, events)
    return producer


def routed(rig: Rig, topic: str, events: int = EVENTS) -> Rate:
    """Of the router from start to the end of the topic, less what a start with nothing to route costs."""
    with rig.plane("router") as pid:
        started = time.perf_counter()
        wait_until_routed(rig, topic, _GROUP)
        wall = time.perf_counter() - started
        used = cpu_seconds(pid)
    with rig.plane("router") as pid:
        time.sleep(wall)
        idle = cpu_seconds(pid)
    return Rate(events / (used - idle), events / wall)


def quix_python() -> str:
    """The Python of Quix Streams, in a virtual environment of its own, made once: it pins an older confluent-kafka."""
    home = Path("build/quix-venv").resolve()
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        print("Installing Quix Streams into build/quix-venv (once)")
        with contextlib.suppress(FileExistsError):
            venv.create(home, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", f"quixstreams=={QUIX_VERSION}", "fastavro"], check=True
        )
        (home / "ready").touch()
    return str(python)
