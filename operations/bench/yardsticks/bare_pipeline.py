"""The least that an exactly-once pipeline can take: produce, consume and forward in a transaction, read committed.

Job: ``{"bootstrap", "topic", "out", "rate", "seconds"}``; both topics have one partition. Prints latency percentiles
from ``produce`` to the read_committed reader, and of the transactions themselves (begin to end of commit), all in
milliseconds: ``{"p50", "p99", "commit_p50", "commit_p99", "ack_p50"}``.
"""

import json
import sys
import threading
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

_GRACE = 2.0


def percentile(values: list[float], share: float) -> float:
    """In milliseconds, nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3


class Pipeline:
    """Three threads: a producer at a fixed rate, a transactional forwarder, a reader."""

    def __init__(self, job: dict) -> None:
        self.job = job
        self.bootstrap = {"bootstrap.servers": job["bootstrap"]}
        self.stop = threading.Event()
        self.latencies: list[float] = []
        self.commits: list[float] = []
        self.acks: list[float] = []

    def produce(self) -> None:
        """One record each 1/rate seconds, its value the time of sending."""
        producer = Producer({**self.bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 0})
        started = time.perf_counter()
        for number in range(int(self.job["rate"] * self.job["seconds"])):
            pause = started + number / self.job["rate"] - time.perf_counter()
            if pause > 0:
                producer.poll(pause)
            sent = time.perf_counter()
            producer.produce(
                self.job["topic"],
                repr(sent).encode(),
                on_delivery=lambda _e, _m, sent=sent: self.acks.append(time.perf_counter() - sent),
            )
            producer.poll(0)
        producer.flush()

    def forward(self) -> None:
        """Everything that one poll brings, in one transaction with its offsets."""
        consumer = Consumer({**self.bootstrap, "group.id": "bench-pipeline", "enable.auto.commit": False})
        consumer.assign([TopicPartition(self.job["topic"], 0, 0)])
        # A transaction waits out a back-off while the one before it completes: 100 ms by default.
        producer = Producer(
            {**self.bootstrap, "transactional.id": "bench-pipeline", "linger.ms": 0, "retry.backoff.ms": 2}
        )
        producer.init_transactions()
        while not self.stop.is_set():
            messages = [message for message in consumer.consume(500, 0.005) if not message.error()]
            if not messages:
                continue
            begun = time.perf_counter()
            producer.begin_transaction()
            for message in messages:
                producer.produce(self.job["out"], message.value())
            position = TopicPartition(self.job["topic"], 0, messages[-1].offset() + 1)
            producer.send_offsets_to_transaction([position], consumer.consumer_group_metadata())
            producer.commit_transaction()
            self.commits.append(time.perf_counter() - begun)
        consumer.close()

    def read(self) -> None:
        """Note how old each record is on arrival."""
        consumer = Consumer(
            {**self.bootstrap, "group.id": "bench-reader", "isolation.level": "read_committed", "fetch.wait.max.ms": 20}
        )
        consumer.assign([TopicPartition(self.job["out"], 0, 0)])
        while not self.stop.is_set():
            message = consumer.poll(0.05)
            if message is not None and not message.error():
                self.latencies.append(time.perf_counter() - float(message.value()))
        consumer.close()


def main() -> None:
    """Run for the job's seconds and a grace."""
    pipeline = Pipeline(json.loads(Path(sys.argv[1]).read_text()))
    workers = [threading.Thread(target=work) for work in (pipeline.forward, pipeline.read)]
    for worker in workers:
        worker.start()
    time.sleep(_GRACE)
    pipeline.produce()
    time.sleep(_GRACE)
    pipeline.stop.set()
    for worker in workers:
        worker.join()
    print(
        json.dumps(
            {
                "p50": percentile(pipeline.latencies, 0.5),
                "p99": percentile(pipeline.latencies, 0.99),
                "commit_p50": percentile(pipeline.commits, 0.5),
                "commit_p99": percentile(pipeline.commits, 0.99),
                "ack_p50": percentile(pipeline.acks, 0.5),
            }
        )
    )


if __name__ == "__main__":
    main()
