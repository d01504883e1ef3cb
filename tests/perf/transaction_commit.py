"""What a bare transaction costs: begin, produce, send offsets, commit; and the same without one.

Run it against a broker of its own: ``KAFKA_BOOTSTRAP_SERVERS=host:port python -m tests.perf.transaction_commit``.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from typing import TYPE_CHECKING

from backbone.kafka.admin import Admin, TopicSpec
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.producer import Producer
from backbone.kafka.records import Record
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.transaction import TransactionalProducer

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 150
SIZES = (1, 100, 1_000)
_PARTITIONS = 8
_VALUE = b"x" * 300
_HEADERS = [(f"ce_{name}", b"0" * 36) for name in ("id", "source", "type", "time", "subject")]


def percentile(samples: list[float], share: float) -> float:
    """The sample below which ``share`` of them lie."""
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * share))]


def measure(work: Callable[[int], None], pause: float) -> tuple[float, float]:
    """Median and 99th percentile of ``work(round)`` in milliseconds."""
    samples = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        work(number)
        samples.append((time.perf_counter() - began) * 1_000)
        time.sleep(pause)
    return percentile(samples, 0.5), percentile(samples, 0.99)


def main() -> None:
    """Print the table."""
    settings = KafkaSettings()
    run = uuid.uuid4().hex
    source, target = f"bench-source-{run}", f"bench-target-{run}"
    Admin(settings).ensure_topics_now([TopicSpec(source, 1), TopicSpec(target, _PARTITIONS)])
    consumer = BatchConsumer(settings, group=f"bench-{run}")
    consumer.subscribe([source])
    while not consumer.assignment():
        consumer.consume(1, 0.1)
    transactional = TransactionalProducer(settings, f"bench-{run}")
    transactional.start()
    loop = asyncio.new_event_loop()
    plain = Producer(settings)
    loop.run_until_complete(plain.start())

    sys.stdout.write("records  pause ms  transaction p50/p99 ms  acks=all + offset commit p50/p99 ms\n")
    for size in SIZES:
        records = [Record(target, _VALUE, str(index).encode(), _HEADERS) for index in range(size)]

        def in_transaction(number: int, records: list[Record] = records) -> None:
            transactional.begin()
            for record in records:
                transactional.produce(record)
            transactional.send_offsets({(source, 0): number + 1}, consumer)
            transactional.commit()

        def at_least_once(number: int, records: list[Record] = records) -> None:
            async def sent() -> None:
                await plain.send(records)

            loop.run_until_complete(sent())
            consumer.commit({(source, 0): number + 1})

        for pause in (0.0, 0.02):
            exact = measure(in_transaction, pause)
            least = measure(at_least_once, pause)
            row = (
                f"{size:7}  {pause * 1_000:8.0f}  {exact[0]:14.1f} /{exact[1]:6.1f}  {least[0]:20.1f} /{least[1]:6.1f}"
            )
            sys.stdout.write(f"{row}\n")
    loop.run_until_complete(plain.stop())
    loop.close()
    transactional.close()
    consumer.close()


if __name__ == "__main__":
    main()
