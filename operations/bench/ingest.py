"""``ingest.*``: events accepted per CPU-second of the HTTP plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.settings import KafkaSettings
from operations.bench import workload
from operations.bench.echo_server import echo_server
from operations.bench.measure import Figure, cpu_seconds
from operations.bench.setup import Producer, first_value, order_type

if TYPE_CHECKING:
    from operations.bench.rig import Rig

SECONDS = 8.0
_PRODUCED = 200_000
_GOALS = {"ingest.single": 0.25, "ingest.batch100": None, "ingest.batch1000": 0.2}


class Measured(NamedTuple):
    """Events per CPU-second, and what the clock said."""

    rate: float
    wall: str


class Load(NamedTuple):
    """How a kind of request is sent."""

    stage: str
    body: bytes
    media_type: str
    events: int
    connections: int


def figures(rig: Rig) -> list[Figure]:
    """Single publishes against a bare echo, batches against a bare produce loop with the same headers and callbacks."""
    # With this many connections the plane is busy although each request waits for Kafka, as the echo is with far fewer.
    single = Load("ingest.single", orjson.dumps(workload.cloudevent(1)), "application/cloudevents+json", 1, 128)
    batches = [
        Load(f"ingest.batch{size}", workload.batch(0, size), "application/cloudevents-batch+json", size, 4)
        for size in (100, 1_000)
    ]
    with rig.plane("ingest") as pid:
        producer = order_type(rig)
        found = [_figure(single, _accepted(rig, pid, producer, single), _echo(rig, single), "bare ASGI echo")]
        produced = _produce_loop(rig, producer.topic)
        found += [_figure(load, _accepted(rig, pid, producer, load), produced, "bare produce loop") for load in batches]
    return found


def _figure(load: Load, measured: Measured, yardstick: Measured, against: str) -> Figure:
    return Figure(
        stage=load.stage,
        value=measured.rate,
        unit="events/CPU-s",
        yardstick=yardstick.rate,
        ratio=measured.rate / yardstick.rate,
        goal=_GOALS[load.stage],
        against=against,
        wall=f"{measured.wall}; yardstick {yardstick.wall}",
    )


def _accepted(rig: Rig, pid: int, producer: Producer, load: Load) -> Measured:
    """The first second warms up and is not counted."""
    headers = [f"Authorization: Bearer {producer.key}", f"Content-Type: {load.media_type}"]
    url = f"{rig.base_url}/headrace/v1/events"
    rig.load(url, load.body, seconds=1.0, connections=load.connections, headers=headers)
    before = cpu_seconds(pid)
    result = rig.load(url, load.body, seconds=SECONDS, connections=load.connections, headers=headers)
    events = result["accepted"] * load.events
    clock = f"{events / result['seconds']:,.0f}/s, p50 {result['p50_ms']:.1f} ms, p99 {result['p99_ms']:.1f} ms"
    return Measured(events / (cpu_seconds(pid) - before), clock)


def _echo(rig: Rig, load: Load) -> Measured:
    headers = ["Content-Type: application/json"]
    with echo_server(rig.home / "echo.log") as echo:
        rig.load(echo.url, load.body, seconds=1.0, connections=load.connections, headers=headers)
        before = cpu_seconds(echo.pid)
        result = rig.load(echo.url, load.body, seconds=SECONDS, connections=load.connections, headers=headers)
        used = cpu_seconds(echo.pid) - before
    return Measured(result["accepted"] / used, f"{result['accepted'] / result['seconds']:,.0f}/s")


def _produce_loop(rig: Rig, like: str) -> Measured:
    """The yardstick writes records as large as ours to a topic like ours."""
    topic = "bench-produce-loop"
    Admin(KafkaSettings(bootstrap_servers=rig.bootstrap)).ensure_topics_now(
        [TopicSpec(topic=topic, partitions=2, config={})]
    )
    job: dict[str, object] = {
        "topic": topic,
        "count": _PRODUCED,
        "value": first_value(rig, like).hex(),
        "headers": workload.HEADERS,
    }
    result = rig.job("produce_loop", job)
    return Measured(result["events"] / result["cpu"], f"{result['events'] / result['wall']:,.0f}/s")
