"""``file``: events written to event files per CPU-second of a file sink, against a bare loop that writes as much."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from operations.bench.measure import Figure, cpu_seconds
from operations.bench.setup import fill, order_type, schema_of, wait_until_routed
from operations.errors import CannotStart
from schemas.model.topics import FILE_DELIVERIES

if TYPE_CHECKING:
    from pathlib import Path

    from operations.bench.rig import Rig

EVENTS = 100_000
_ROUTER, _SINK = "headrace-router", "headrace-file"
_CODE = "bench.filed"


def figures(rig: Rig) -> list[Figure]:
    """Everything that is published goes to one endpoint of files; the sink starts when it has all been routed."""
    with rig.plane("ingest"):
        producer = order_type(rig, _CODE)
        _subscribe(rig)
        fill(rig, producer, _CODE, EVENTS)
        schema = schema_of(rig, producer.topic)
    with rig.plane("router"):
        wait_until_routed(rig, producer.topic, _ROUTER)
    headrace, wall = _written(rig)
    bare = rig.job(
        "bare_file",
        {"topic": FILE_DELIVERIES, "count": EVENTS, "schema": schema, "out": str(rig.home / "bare.jsonl")},
    )
    yardstick = bare["events"] / bare["cpu"]
    return [
        Figure(
            stage="file",
            value=headrace,
            unit="events/CPU-s",
            yardstick=yardstick,
            ratio=headrace / yardstick,
            goal=0.4,
            against="bare file",
            wall=f"{wall}; yardstick {bare['events'] / bare['wall']:,.0f}/s",
        )
    ]


def _subscribe(rig: Rig) -> None:
    endpoint = rig.call("POST", "/headrace/v1/endpoints", {"name": "bench", "type": "FILE"})
    chosen = rig.call("POST", "/headrace/v1/filters", {"name": "bench", "types": [{"code": _CODE}]})
    rig.call("POST", "/headrace/v1/subscriptions", {"filter": chosen["id"], "endpoint": endpoint["id"]})


def _written(rig: Rig) -> tuple[float, str]:
    """Events per CPU-second from start to the last file, less what a start with nothing to write costs."""
    home = rig.home / "event-files"
    environment = {"HEADRACE_FILES_URL": home.as_uri(), "HEADRACE_FILE_MAX_AGE": "1"}
    with rig.plane("connector", "file", **environment) as pid:
        started = time.perf_counter()
        wait_until_routed(rig, FILE_DELIVERIES, _SINK)
        wall = time.perf_counter() - started
        used = cpu_seconds(pid)
    found = sum(_lines(path) for path in home.rglob("*.jsonl"))
    if found != EVENTS:
        raise CannotStart(f"{found} of {EVENTS} events are in files.")
    with rig.plane("connector", "file", **environment) as pid:
        time.sleep(wall)
        idle = cpu_seconds(pid)
    return EVENTS / (used - idle), f"{EVENTS / wall:,.0f}/s"


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
