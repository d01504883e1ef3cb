"""Routing the way Faust documents it: an agent over events, the same decode, the same condition, ``await send``.

Job: as ``bare_route``.
"""

import io
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

import fastavro
import faust

_FRAME = 5
_LEAST_AMOUNT = 100


def main() -> None:
    """Read ``count`` records from the first offset, forward those that match, then stop the worker."""
    job = json.loads(Path(sys.argv[1]).read_text())
    schema = fastavro.parse_schema(json.loads(job["schema"]))
    app = faust.App(
        f"bench-faust-{time.time_ns()}",
        broker=f"kafka://{job['bootstrap']}",
        value_serializer="raw",
        key_serializer="raw",
        consumer_auto_offset_reset="earliest",
        datadir=tempfile.mkdtemp(),
        web_enabled=False,
        topic_disable_leader=True,
    )
    source = app.topic(job["topic"], value_type=bytes, key_type=bytes)
    out = app.topic(job["out"], value_type=bytes, key_type=bytes)

    @app.agent(source)
    async def route(values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - Faust inspects the bare function
        seen = 0
        cpu = wall = 0.0
        async for event in values.events():
            if seen == 0:
                cpu, wall = time.process_time(), time.perf_counter()
            seen += 1
            value = event.value
            data = fastavro.schemaless_reader(io.BytesIO(memoryview(value)[_FRAME:]), schema, None)["data"]
            if data["region"] == "eu" and data["amount"] > _LEAST_AMOUNT:
                await out.send(key=event.key, value=value)
            if seen == job["count"]:
                result = {"events": seen, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
                print(json.dumps(result), flush=True)
                # Nothing is left to do for a worker whose only work was to be measured.
                os._exit(0)

    worker = faust.Worker(app, loglevel=logging.ERROR, redirect_stdouts=False)
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
