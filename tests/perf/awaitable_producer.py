"""What it costs to await the acknowledgement of every record, with 500, 50 and 1 tasks that send one at a time.

``KAFKA_BOOTSTRAP_SERVERS=host:port python -m tests.perf.awaitable_producer`` prints records per second, CPU per record
of the whole process, and how long one record takes.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid

import uvloop

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.producer import Producer
from backbone.kafka.records import Record
from backbone.kafka.settings import KafkaSettings

_HEADERS = [(f"ce_{name}", b"0" * 24) for name in ("id", "source", "type", "time", "subject", "extra")]
_VALUE = b"x" * 300
_ROUNDS = ((500, 200), (50, 400), (1, 400))
"""Tasks, and records that each sends."""


async def measure() -> None:
    """Print a row per number of tasks."""
    settings, topic = KafkaSettings(), f"perf-{uuid.uuid4()}"
    await asyncio.to_thread(Admin(settings).ensure_topics_now, [TopicSpec(topic=topic, partitions=2, config={})])
    producer = Producer(settings)
    await producer.start()

    async def send(count: int) -> None:
        for _ in range(count):
            await producer.send([Record(topic, _VALUE, headers=_HEADERS)])

    await send(5)
    for tasks, count in _ROUNDS:
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(send(count) for _ in range(tasks)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        rate, each, latency = tasks * count / wall, cpu / (tasks * count) * 1e6, wall / count * 1e3
        sys.stdout.write(f"{tasks:4} tasks  {rate:8,.0f}/s  {each:6.1f} µs of CPU  {latency:6.2f} ms\n")
    await producer.stop()


if __name__ == "__main__":
    uvloop.run(measure())
