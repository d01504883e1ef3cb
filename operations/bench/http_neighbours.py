"""``neighbours.http.*``: how long one workspace's publishes take beside the heaviest requests of another."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import orjson

from operations.bench import workload
from operations.bench.http_neighbours_setup import QUIET, Installation, installed
from operations.bench.http_neighbours_traffic import kinds
from operations.bench.measure import Figure, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.bench.http_neighbours_traffic import Kind
    from operations.bench.rig import Rig

_SECONDS = 3.0
"""Of each kind."""

_RATE = 80.0
"""Publishes a second of the workspace that is measured."""

_WARM_UP = 0.7
"""Seconds in which the heavy traffic begins."""

_MOST_ADDED = 100.0
"""Milliseconds by which nobody may hold up another workspace."""

_ONLY = "HEADRACE_BENCH_NEIGHBOURS"
"""Names the kinds to measure, or parts of their names, with commas between them; all if it is not set."""


class Latency(NamedTuple):
    """Milliseconds of publishes, and how many of them were refused."""

    p50: float
    p99: float
    most: float
    refused: int

    def __str__(self) -> str:
        told = f"p50 {self.p50:.1f}, p99 {self.p99:.1f}, max {self.most:.1f} ms"
        return f"{told}, {self.refused} REFUSED" if self.refused else told


def figures(rig: Rig) -> list[Figure]:
    """Each kind of traffic against nothing beside, measured before and after all kinds."""
    # The ledger is read as well: its plane makes it, and need not run for that.
    with rig.plane("ingest"):
        where = installed(rig)
        asyncio.run(_publish(where, 1.0))
        alone = _worst(asyncio.run(_publish(where, 2 * _SECONDS)) for _ in range(2))
        print(f"  alone: {alone}")
        return [_figure(kind, alone, *_beside(rig, where, kind)) for kind in _wanted(where)]


def _wanted(where: Installation) -> Iterator[Kind]:
    names = [name for name in os.environ.get(_ONLY, "").split(",") if name]
    for kind in kinds(where):
        if not names or any(name in kind.name for name in names):
            yield kind


def _worst(found: Iterator[Latency]) -> Latency:
    every = list(found)
    return Latency(*(max(values) for values in zip(*every, strict=True)))


def _figure(kind: Kind, alone: Latency, beside: Latency, answers: dict[str, int]) -> Figure:
    added = beside.most - alone.most
    statuses = ", ".join(f"{count}x {status}" for status, count in sorted(answers.items()))
    print(f"  {kind.name}: {beside}; +{max(0.0, added):.0f} ms; {statuses or 'NOTHING ANSWERED'}")
    return Figure(
        stage=f"neighbours.http.{kind.name}",
        value=beside.most,
        unit="ms, longest",
        yardstick=alone.most,
        ratio=alone.most / beside.most,
        goal=0.0 if beside.refused else alone.most / (alone.most + _MOST_ADDED),
        against="alone",
        wall=f"{beside}; +{max(0.0, added):.0f} ms; {statuses}",
    )


def _beside(rig: Rig, where: Installation, kind: Kind) -> tuple[Latency, dict[str, int]]:
    body = None
    if kind.body is not None:
        body = rig.home / "traffic-body"
        body.write_bytes(kind.body)
    job: dict[str, Any] = {
        "url": rig.base_url + kind.path,
        "method": kind.method,
        "body": None if body is None else str(body),
        "headers": kind.headers,
        "connections": kind.connections,
        "seconds": _WARM_UP + _SECONDS,
    }
    path = rig.home / "traffic.json"
    path.write_text(json.dumps(job))
    command = [sys.executable, "-m", "operations.bench.traffic", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        time.sleep(_WARM_UP)
        latency = asyncio.run(_publish(where, _SECONDS))
        output, _ = sender.communicate(timeout=120)
    answers: dict[str, int] = json.loads(output)
    return latency, answers


async def _publish(where: Installation, seconds: float) -> Latency:
    """Publish single events at a fixed rate, whether or not earlier ones have been answered."""
    taken: list[float] = []
    refused = 0
    headers = {"Authorization": f"Bearer {where.quiet_key}", "Content-Type": "application/cloudevents+json"}
    body = orjson.dumps({**workload.cloudevent(1), "type": QUIET})
    async with aiohttp.ClientSession(where.url, headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def post() -> None:
            nonlocal refused
            began = time.perf_counter()
            async with session.post("/headrace/v1/events", data=body) as response:
                await response.read()
                refused += not response.ok
            taken.append((time.perf_counter() - began) * 1e3)

        started = time.perf_counter()
        posts = []
        for number in range(int(_RATE * seconds)):
            await asyncio.sleep(max(0.0, started + number / _RATE - time.perf_counter()))
            posts.append(asyncio.create_task(post()))
        await asyncio.gather(*posts)
    return Latency(percentile(taken, 0.5), percentile(taken, 0.99), max(taken), refused)
