"""FastAPI with pydantic, fastavro and aiokafka: events accepted over HTTP and written to Kafka."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.settings import KafkaSettings
from operations.bench import workload
from operations.bench.measure import cpu_seconds
from operations.bench.peers.comparison import Comparison, Unavailable
from operations.bench.setup import PARTITIONS, order_type
from operations.errors import CannotStart
from operations.supervisor.ports import free_port, is_free

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.bench.rig import Rig

_TOPIC = "bench-fastapi"
_SECONDS = 3.0
_START_SECONDS = 30.0
_STAGES = ("ingest.single", "ingest.batch100")


def compare(rig: Rig, turns: int, _programs: Path) -> list[Comparison]:
    """Both answer once all in-sync replicas have the events.

    Raises:
        Unavailable: a library is not installed.
    """
    try:
        peer = f"FastAPI {version('fastapi')} + aiokafka {version('aiokafka')}"
    except PackageNotFoundError as error:
        raise Unavailable(f"{error.name} is not installed: pip install fastapi aiokafka") from error
    found = {
        stage: Comparison(
            stage=stage,
            peer=peer,
            unit="events/CPU-s",
            differs="Headrace also checks a key, the type, rights and quotas; the peer lets anybody publish",
        )
        for stage in _STAGES
    }
    topic = TopicSpec(topic=_TOPIC, partitions=PARTITIONS, config={})
    Admin(KafkaSettings(bootstrap_servers=rig.bootstrap)).ensure_topics_now([topic])
    with rig.plane("ingest") as pid, _running(rig) as (their_pid, their_url):
        key = f"Authorization: Bearer {order_type(rig).key}"
        for turn in range(turns + 1):
            for stage, comparison in found.items():
                ours = _accepted(rig, pid, f"{rig.base_url}/headrace/v1/events", stage, key)
                theirs = _accepted(rig, their_pid, their_url, stage)
                if turn:  # the first warms up
                    comparison.turns.append((ours, theirs))
    return list(found.values())


def _accepted(rig: Rig, pid: int, url: str, stage: str, *headers: str) -> float:
    """Events accepted per CPU-second of the server."""
    body, media_type, events, connections = (
        (orjson.dumps(workload.cloudevent(1)), "application/cloudevents+json", 1, 64)
        if stage == "ingest.single"
        else (workload.batch(0, 100), "application/cloudevents-batch+json", 100, 16)
    )
    before = cpu_seconds(pid)
    result = rig.load(
        url, body, seconds=_SECONDS, connections=connections, headers=[f"Content-Type: {media_type}", *headers]
    )
    accepted: int = result["accepted"]
    return accepted * events / (cpu_seconds(pid) - before)


@contextlib.contextmanager
def _running(rig: Rig) -> Iterator[tuple[int, str]]:
    """Its process id and where it takes events."""
    port = free_port()
    script = Path(__file__).parent.parent / "yardsticks" / "fastapi_events.py"
    with subprocess.Popen([sys.executable, script, str(port), rig.bootstrap, _TOPIC]) as process:
        try:
            deadline = time.monotonic() + _START_SECONDS
            while is_free(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise CannotStart("The server of FastAPI did not start.")
                time.sleep(0.05)
            yield process.pid, f"http://127.0.0.1:{port}/events"
        finally:
            process.terminate()
