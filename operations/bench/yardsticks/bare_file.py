"""Bare writing: confluent consume, fastavro decode, orjson, one line an event into one file.

Job: ``{"bootstrap", "topic", "out", "count", "schema"}``; the topic holds nothing but events of the schema.
"""

import io
import json
import os
import sys
import time
from pathlib import Path

import fastavro
import orjson
from confluent_kafka import Consumer, TopicPartition

_BATCH = 1_000
_FRAME = 5


def main() -> None:
    """Read ``count`` records from the first offset of every partition and write them."""
    job = json.loads(Path(sys.argv[1]).read_text())
    schema = fastavro.parse_schema(json.loads(job["schema"]))
    consumer = Consumer({"bootstrap.servers": job["bootstrap"], "group.id": "bench-bare", "enable.auto.commit": False})
    partitions = consumer.list_topics(job["topic"], timeout=10).topics[job["topic"]].partitions
    consumer.assign([TopicPartition(job["topic"], partition, 0) for partition in partitions])
    seen = 0
    cpu, wall = time.process_time(), time.perf_counter()
    with Path(job["out"]).open("wb") as out:
        while seen < job["count"]:
            lines = []
            for message in consumer.consume(_BATCH, 1.0):
                if message.error():
                    continue
                value = message.value()
                event = fastavro.schemaless_reader(io.BytesIO(memoryview(value)[_FRAME:]), schema, None)
                lines.append(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
            out.writelines(lines)
            seen += len(lines)
        out.flush()
        os.fsync(out.fileno())
    print(json.dumps({"events": seen, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}))
    consumer.close()


if __name__ == "__main__":
    main()
