"""File sinks as processes, deliveries for them, and what ends up in the files."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from backbone.event_files import EventFiles
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.records import Record
from schemas.model import topics
from schemas.model.endpoint import CLOUDEVENTS, BodyFormat, EndpointType
from tests.component.connectors.post_office import SECRET_KEY, until
from tests.support.fork_server import Forked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backbone.kafka.records import Partition
    from schemas.model.endpoint import Endpoint
    from tests.component.connectors.post_office import PostOffice

SINK = (
    "from processes.connector import run; from processes.settings import ConnectorSettings;"
    "run('file', ConnectorSettings())"
)

ChainKey = tuple[str, str, int]
"""Endpoint, publisher, partition."""


class FileRoom:
    """The file side of a post office: a directory of its own, and the sinks that write there."""

    def __init__(self, office: PostOffice, directory: Path, began: dict[Partition, int]) -> None:
        self.office = office
        self.directory = directory
        self.root = directory / "files"
        self.files = EventFiles(self.root)
        self.taken: dict[ChainKey, list[int]] = defaultdict(list)
        self._began = began

    async def endpoint(self, body: BodyFormat = CLOUDEVENTS) -> Endpoint:
        made = await self.office.endpoint("https://example.org", body=body)
        changed = msgspec.structs.replace(made, type=EndpointType.FILE, url=None)
        await self.office.put(changed)
        return changed

    def delivery(self, endpoint: Endpoint, publisher: str = "client-1", **fields: Any) -> Record:
        record = self.office.delivery(endpoint, **fields)
        headers = [(name, publisher.encode() if name == "ce_source" else value) for name, value in record.headers or ()]
        return Record(topics.FILE_DELIVERIES, record.value, record.key, headers)

    async def deliver(self, endpoint: Endpoint, count: int, publisher: str = "client-1", **fields: Any) -> None:
        await self.office.producer.send([self.delivery(endpoint, publisher, **fields) for _ in range(count)])

    @contextlib.contextmanager
    def sink(self, **environment: str) -> Iterator[Sink]:
        sink = Sink(self, environment)
        try:
            yield sink
        finally:
            sink.end(signal.SIGKILL)

    def lines(self, endpoint: Endpoint) -> list[dict[str, Any]]:
        """What all files of an endpoint hold, in the order of the list."""
        found = []
        for name in self.files.names(endpoint.id, 1_000_000):
            with self.files.open(endpoint.id, name) as file:
                found += [json.loads(line) for line in file.read().splitlines()]
        return found

    def take(self, endpoint: Endpoint, name: str) -> None:
        """Read a file's offsets and delete it, as a subscriber does."""
        with self.files.open(endpoint.id, name) as file:
            offsets = [json.loads(line)["offset"] for line in file.read().splitlines()]
        _, partition, publisher = name.removesuffix(".jsonl").split("-", 2)
        self.taken[endpoint.id, publisher.replace("_2d", "-"), int(partition[1:])] += offsets
        self.files.delete(endpoint.id, name)

    def routed(self, endpoints: set[str]) -> dict[ChainKey, list[int]]:
        """The offsets of all deliveries for these endpoints, by chain, read from the topic."""
        found: dict[ChainKey, list[int]] = defaultdict(list)
        consumer = BatchConsumer(self.office.settings, group=None)
        try:
            partitions = consumer.partitions_of([topics.FILE_DELIVERIES])
            ends = consumer.end_offsets(partitions)
            consumer.assign({partition: self._began[partition] for partition in partitions})
            while any(consumer.ends.get(partition, 0) < end for partition, end in ends.items()):
                for message in consumer.consume(5_000, 0.2):
                    headers = dict(message.headers() or ())
                    endpoint = headers["hr_endpoint"].decode()
                    if endpoint in endpoints:
                        found[endpoint, headers["ce_source"].decode(), message.partition()].append(message.offset())
        finally:
            consumer.close()
        return found


class Sink:
    """One ``headrace connector file`` process."""

    def __init__(self, room: FileRoom, environment: dict[str, str]) -> None:
        directory = room.directory / f"sink-{uuid.uuid4().hex[:8]}"
        directory.mkdir()
        self.ready = directory / "ready"
        variables = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": room.office.settings.bootstrap_servers,
            "HEADRACE_DATA_DIR": str(directory),
            "HEADRACE_SECRET_KEYS": SECRET_KEY,
            "HEADRACE_FILES_URL": room.root.resolve().as_uri(),
            "HEADRACE_READY_FILE": str(self.ready),
            "HEADRACE_FILE_MAX_AGE": "0.3",
            **environment,
        }
        self._log = directory / "log"
        # Through a pipe: the limits that a test sets on file sizes are not for the log.
        with self._log.open("wb") as log:
            self._tee = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log)
        self.process = Forked("-c", SINK, env=variables, stderr=self._tee.stdin)
        self._tee.stdin.close()

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    async def is_ready(self) -> None:
        await until(lambda: self.ready.exists() or self.process.poll() is not None, "the sink is ready")
        assert self.process.poll() is None, self.log

    def end(self, number: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        status = self.process.wait(120)
        self._tee.wait(120)
        return status
