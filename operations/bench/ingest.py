"""``ingest.*`` and ``registry.read``: events accepted, and schemas read, per CPU-second of the HTTP plane."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple
from urllib.request import urlopen

import orjson

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.settings import KafkaSettings
from operations.bench import workload
from operations.bench.echo_server import echo_server
from operations.bench.measure import Figure, cpu_seconds
from operations.bench.setup import Producer, first_value, order_type, schema_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operations.bench.rig import Rig

_TURNS = 3
"""Plane and yardstick are measured in turns, so that a machine whose speed changes favours neither."""
_SECONDS = 3.0
_PRODUCED = 100_000
_LOOP_TOPIC = "bench-produce-loop"
_GOALS = {"ingest.single": 0.25, "ingest.batch100": None, "ingest.batch1000": 0.2, "registry.read": 0.3}


class Turn(NamedTuple):
    """Events accepted in CPU-seconds and by the clock; milliseconds of a request where one was waited for."""

    events: float
    cpu: float
    wall: float
    p50: float = 0.0
    p99: float = 0.0


class Load(NamedTuple):
    """How a kind of request is sent: posted with a body, or as a GET without."""

    stage: str
    body: bytes
    media_type: str
    events: int
    connections: int
    path: str = "/headrace/v1/events"


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
        found = [_figure(single, *_in_turns(rig, pid, producer, single, lambda: _echo(rig, single)), "bare ASGI echo")]
        Admin(KafkaSettings(bootstrap_servers=rig.bootstrap)).ensure_topics_now(
            [TopicSpec(topic=_LOOP_TOPIC, partitions=2, config={})]
        )
        value = first_value(rig, producer.topic)
        for load in batches:
            turns = _in_turns(rig, pid, producer, load, lambda: _produce_loop(rig, value))
            found.append(_figure(load, *turns, "bare produce loop"))
        found.append(_registry_read(rig, pid, producer))
    return found


def _registry_read(rig: Rig, pid: int, producer: Producer) -> Figure:
    """One schema by its id, as deserializers ask for it, against a bare echo of as many bytes."""
    path = schema_path(rig, producer.topic)
    with urlopen(f"{rig.base_url}{path}", timeout=10) as response:  # noqa: S310  # our own server on loopback
        answer = response.read()
    read = Load("registry.read", b"", "application/json", 1, 16, path)
    echo = read._replace(body=answer)
    return _figure(read, *_in_turns(rig, pid, producer, read, lambda: _echo(rig, echo)), "bare ASGI echo")


def _in_turns(
    rig: Rig, pid: int, producer: Producer, load: Load, yardstick: Callable[[], Turn]
) -> tuple[list[Turn], list[Turn]]:
    pairs = [(_accepted(rig, pid, producer, load), yardstick()) for _ in range(_TURNS)]
    return [ours for ours, _ in pairs], [theirs for _, theirs in pairs]


def _figure(load: Load, ours: Sequence[Turn], theirs: Sequence[Turn], against: str) -> Figure:
    value, yardstick = _per_cpu_second(ours), _per_cpu_second(theirs)
    p50, p99 = median(turn.p50 for turn in ours), median(turn.p99 for turn in ours)
    return Figure(
        stage=load.stage,
        value=value,
        unit="events/CPU-s" if load.body else "reads/CPU-s",
        yardstick=yardstick,
        ratio=value / yardstick,
        goal=_GOALS[load.stage],
        against=against,
        wall=f"{_per_second(ours):,.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms; yardstick {_per_second(theirs):,.0f}/s",
    )


def _per_cpu_second(turns: Sequence[Turn]) -> float:
    return sum(turn.events for turn in turns) / sum(turn.cpu for turn in turns)


def _per_second(turns: Sequence[Turn]) -> float:
    return sum(turn.events for turn in turns) / sum(turn.wall for turn in turns)


def _accepted(rig: Rig, pid: int, producer: Producer, load: Load) -> Turn:
    """The first second warms up and is not counted."""
    headers = [f"Authorization: Bearer {producer.key}", f"Content-Type: {load.media_type}"]
    url = f"{rig.base_url}{load.path}"
    rig.load(url, load.body, seconds=1.0, connections=load.connections, headers=headers)
    before = cpu_seconds(pid)
    result = rig.load(url, load.body, seconds=_SECONDS, connections=load.connections, headers=headers)
    used = cpu_seconds(pid) - before
    return Turn(result["accepted"] * load.events, used, result["seconds"], result["p50_ms"], result["p99_ms"])


def _echo(rig: Rig, load: Load) -> Turn:
    headers = ["Content-Type: application/json"]
    with echo_server(rig.home / "echo.log") as echo:
        rig.load(echo.url, load.body, seconds=1.0, connections=load.connections, headers=headers)
        before = cpu_seconds(echo.pid)
        result = rig.load(echo.url, load.body, seconds=_SECONDS, connections=load.connections, headers=headers)
        return Turn(result["accepted"], cpu_seconds(echo.pid) - before, result["seconds"])


def _produce_loop(rig: Rig, value: bytes) -> Turn:
    """The yardstick writes records as large as ours to a topic like ours."""
    job: dict[str, object] = {
        "topic": _LOOP_TOPIC,
        "count": _PRODUCED,
        "value": value.hex(),
        "headers": workload.HEADERS,
    }
    result = rig.job("produce_loop", job)
    return Turn(result["events"], result["cpu"], result["wall"])
