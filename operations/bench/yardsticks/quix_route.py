"""Routing with Quix Streams: the same decode, the same condition, forwarded to a topic.

Job: as ``bare_route``. Runs in a virtual environment of its own, because Quix Streams pins an older confluent-kafka.
"""

import io
import json
import sys
import time
from pathlib import Path

import fastavro
from quixstreams import Application

_FRAME = 5
_LEAST_AMOUNT = 100


def main() -> None:
    """Read ``count`` records from the first offset, forward those that match."""
    job = json.loads(Path(sys.argv[1]).read_text())
    schema = fastavro.parse_schema(json.loads(job["schema"]))
    app = Application(
        broker_address=job["bootstrap"],
        consumer_group=f"bench-quix-{time.time_ns()}",
        auto_offset_reset="earliest",
        loglevel="WARNING",
    )
    source = app.topic(job["topic"], value_deserializer="bytes", key_deserializer="bytes")
    out = app.topic(job["out"], value_serializer="bytes", key_serializer="bytes")

    def matches(value: bytes) -> bool:
        data = fastavro.schemaless_reader(io.BytesIO(memoryview(value)[_FRAME:]), schema, None)["data"]
        return bool(data["region"] == "eu" and data["amount"] > _LEAST_AMOUNT)

    seen = 0
    cpu = wall = 0.0

    def count(value: bytes) -> bytes:
        nonlocal seen, cpu, wall
        if seen == 0:
            cpu, wall = time.process_time(), time.perf_counter()
        seen += 1
        if seen == job["count"]:
            app.stop()
        return value

    app.dataframe(source).apply(count).filter(matches).to_topic(out)
    app.run()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps({"events": seen, "cpu": cpu, "wall": wall}))


if __name__ == "__main__":
    main()
