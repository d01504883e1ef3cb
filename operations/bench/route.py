"""``route*``: events routed per CPU-second of a stream processor, against three ways of doing the same work."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.settings import KafkaSettings
from operations.bench import workload
from operations.bench.measure import Figure, cpu_seconds
from operations.bench.setup import PARTITIONS, fill, order_type, schema_of, subscribe, wait_until_routed

if TYPE_CHECKING:
    from operations.bench.rig import Rig

EVENTS = 200_000
_FAUST_EVENTS = 50_000
"""An eighth of a minute of it is enough."""
_GROUP = "headrace-router"
_CODE = "bench.routed"
_QUIX = "quixstreams==3.28.1"
_ROUTER_ONLY = {"HEADRACE_PROCESSORS_LEDGER": "false"}


def figures(rig: Rig) -> list[Figure]:
    """Route a topic of typed events through one subscription with a condition over their data."""
    with rig.plane("ingest"):
        producer = order_type(rig, _CODE)
        # Nothing is delivered in this stage: the records end on deliveries.webhook.
        subscribe(rig, "http://127.0.0.1:9/", _CODE, workload.CONDITION)
        fill(rig, producer, _CODE, EVENTS)
        schema = schema_of(rig, producer.topic)
    headrace, wall = _routed(rig, producer.topic)
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
    found = []
    for stage, against, goal, python, yardstick_job in (
        ("route", "bare_route", 0.3, sys.executable, job),
        ("route.vs_quix", "quix_route", 1.0, _quix_python(), job),
        ("route.vs_faust", "faust_route", None, sys.executable, {**job, "count": _FAUST_EVENTS}),
    ):
        result = rig.job(against, yardstick_job, python=python)
        yardstick = result["events"] / result["cpu"]
        found.append(
            Figure(
                stage=stage,
                value=headrace,
                unit="events/CPU-s",
                yardstick=yardstick,
                ratio=headrace / yardstick,
                goal=goal,
                against=against.replace("_", " "),
                wall=f"{wall}; yardstick {result['events'] / result['wall']:,.0f}/s",
            )
        )
    return found


def _routed(rig: Rig, topic: str) -> tuple[float, str]:
    """Events per CPU-second from start to the end of the topic, less what a start with nothing to route costs."""
    with rig.plane("processors", **_ROUTER_ONLY) as pid:
        started = time.perf_counter()
        wait_until_routed(rig, topic, _GROUP)
        wall = time.perf_counter() - started
        used = cpu_seconds(pid)
    with rig.plane("processors", **_ROUTER_ONLY) as pid:
        time.sleep(wall)
        idle = cpu_seconds(pid)
    return EVENTS / (used - idle), f"{EVENTS / wall:,.0f}/s"


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
