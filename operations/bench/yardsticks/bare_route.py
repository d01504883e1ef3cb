"""Bare routing: confluent consume, fastavro decode, the same condition, produce what matches.

Job: ``{"bootstrap", "topic", "partitions", "out", "count", "schema"}``.
"""

import io
import json
import sys
import time
from pathlib import Path

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

_BATCH = 1_000
_FRAME = 5
_LEAST_AMOUNT = 100


def main() -> None:
    """Read ``count`` records from the first offset, forward those that match."""
    job = json.loads(Path(sys.argv[1]).read_text())
    schema = fastavro.parse_schema(json.loads(job["schema"]))
    consumer = Consumer({"bootstrap.servers": job["bootstrap"], "group.id": "bench-bare", "enable.auto.commit": False})
    consumer.assign([TopicPartition(job["topic"], partition, 0) for partition in range(job["partitions"])])
    producer = Producer({"bootstrap.servers": job["bootstrap"], "linger.ms": 5})
    seen = 0
    cpu, wall = time.process_time(), time.perf_counter()
    while seen < job["count"]:
        for message in consumer.consume(_BATCH, 1.0):
            if message.error():
                continue
            seen += 1
            value = message.value()
            data = fastavro.schemaless_reader(io.BytesIO(memoryview(value)[_FRAME:]), schema, None)["data"]
            if data["region"] == "eu" and data["amount"] > _LEAST_AMOUNT:
                while True:
                    try:
                        producer.produce(job["out"], value, message.key())
                        break
                    except BufferError:
                        producer.poll(0.01)
        producer.poll(0)
    producer.flush()
    print(json.dumps({"events": seen, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}))
    consumer.close()


if __name__ == "__main__":
    main()
