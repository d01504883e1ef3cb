"""A bare ``produce`` loop with five CloudEvents headers and a delivery callback for each record.

Job: ``{"bootstrap", "topic", "count", "value" (hex), "headers": [[name, text]…]}``.
"""

import json
import sys
import time
from pathlib import Path

from confluent_kafka import KafkaException, Producer


def main() -> None:
    """Produce ``count`` records, wait for all acknowledgements."""
    job = json.loads(Path(sys.argv[1]).read_text())
    producer = Producer(
        {
            "bootstrap.servers": job["bootstrap"],
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 100_000,
        }
    )
    producer.list_topics(job["topic"], timeout=10)
    value = bytes.fromhex(job["value"])
    acknowledged = 0

    def on_delivery(error: object, _message: object) -> None:
        nonlocal acknowledged
        if error is not None:
            raise KafkaException(error)
        acknowledged += 1

    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(job["count"]):
        # The list is made anew for each record, as a gateway must whose events differ in id and time.
        headers = [(name, text.encode()) for name, text in job["headers"]]
        while True:
            try:
                producer.produce(job["topic"], value, headers=headers, on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
    producer.flush()
    print(json.dumps({"events": acknowledged, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}))


if __name__ == "__main__":
    main()
