"""A small installation for the router's tests: a catalog with its writer, a producer, worker processes, and readers."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.reader import Catalog
from backbone.catalog.writer import CatalogWriter, Changes
from backbone.kafka.admin import Admin
from backbone.kafka.producer import Producer
from backbone.kafka.records import Record, partition_for
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics, event_topic_spec
from schemas.avro.encoding import EventEncoder, text_bytes
from schemas.avro.schema import schema_text
from schemas.model import timestamps, topics
from schemas.model.delivery import Delivery, ReceiptKind, RoutingReceipt
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, Subscription, TypeSelection
from schemas.model.event import EventDraft
from schemas.model.event_type import EventType
from schemas.model.family_record import family_record_key
from schemas.model.ids import LIVE, new_id
from tests.support.fork_server import Forked
from tests.support.running_gateway import SECRET_KEYS
from tests.support.topic_log import TopicLogs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping

    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import Ack, Partition

PARTITIONS = 4


@dataclasses.dataclass
class Installation:
    """What one test works with; names are its own, because all tests share a broker."""

    settings: KafkaSettings
    directory: Path
    workspace: str
    catalog: Catalog
    writer: CatalogWriter
    producer: Producer
    admin: Admin
    logs: TopicLogs
    """The topics of deliveries, receipts and dead letters from where they ended when the test began."""

    # The catalog

    async def event_type(self, code: str, *, partitions: int = PARTITIONS) -> EventType:
        """An open event type with its topic and schema."""
        text = schema_text(workspace=self.workspace, namespace="events", code=code, open=True)
        subject = f"{topics.event_topic(self.workspace, 'events', code)}-value"
        spec = event_topic_spec(self._type(code, 0, partitions), partitions)
        await self.admin.ensure_topics([spec])

        def decide(view: CatalogView) -> Changes[EventType]:
            schema = view.next_schema(subject, text)
            made = self._type(code, schema.id, partitions)
            return Changes(result=made, put=[made], schemas=[schema])

        return await self.writer.write(decide)

    def _type(self, code: str, schema_id: int, partitions: int) -> EventType:
        now = timestamps.now()
        return EventType(
            workspace=self.workspace,
            namespace="events",
            code=code,
            open=True,
            effective_partitions=partitions,
            schema_id=schema_id,
            created_at=now,
            updated_at=now,
        )

    async def endpoint(self, name: str) -> Endpoint:
        """A webhook endpoint; no connector runs, so nothing is sent to it."""
        now = timestamps.now()
        made = Endpoint(
            id=new_id(),
            workspace=self.workspace,
            name=name,
            type=EndpointType.WEB_HOOK,
            url="https://example.org",
            created_at=now,
            updated_at=now,
        )
        return await self.writer.write(lambda _: Changes(result=made, put=[made]))

    async def event_filter(self, *codes: str, condition: str | None = None) -> EventFilter:
        """A filter over event types."""
        now = timestamps.now()
        made = EventFilter(
            id=new_id(),
            workspace=self.workspace,
            name="filter",
            types=tuple(TypeSelection(namespace="events", code=code) for code in codes),
            condition=condition,
            created_at=now,
            updated_at=now,
        )
        return await self.writer.write(lambda _: Changes(result=made, put=[made]))

    async def link(
        self, event_filter: EventFilter, endpoint: Endpoint, *, writer: CatalogWriter | None = None
    ) -> Subscription:
        """Link a filter to an endpoint; when it returns, the link is answered."""
        now = timestamps.now()
        made = Subscription(
            id=new_id(),
            workspace=self.workspace,
            event_filter=event_filter.id,
            endpoint=endpoint.id,
            created_at=now,
            updated_at=now,
        )
        return await (writer or self.writer).write(lambda _: Changes(result=made, put=[made]))

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete records of the catalog."""
        deleted = list(keys)
        await self.writer.write(lambda _: Changes(result=None, delete=deleted))

    async def unlink(self, subscription: Subscription, *, writer: CatalogWriter | None = None) -> None:
        """Remove a link."""
        await (writer or self.writer).write(lambda _: Changes(result=None, delete=[subscription.key]))

    # Events

    async def ends(self, event_type: EventType) -> dict[Partition, int]:
        """The end of every partition of a type's topic."""
        count = await self.admin.partition_count(event_type.topic)
        return await self.admin.end_offsets([(event_type.topic, number) for number in range(count)])

    def event(self, event_type: EventType, event_id: str, *, key: str = "", data: str = "{}") -> Record:
        """An event as the publisher writes it."""
        encoder = EventEncoder(schema_id=event_type.schema_id, code=event_type.code, attributes=(), sent=())
        now = timestamps.now()
        draft = EventDraft(
            workspace=event_type.workspace,
            namespace=event_type.namespace,
            code=event_type.code,
            client="client",
            publisher="client",
        )
        value = encoder.encode(draft, event_id=event_id, time=now, received_at=now, data=text_bytes(data), lexical=None)
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", event_id.encode()),
            ("ce_source", b"client"),
            ("ce_type", event_type.code.encode()),
            ("hr_event", event_id.encode()),
        ]
        partition = partition_for(key.encode(), event_type.effective_partitions)
        return Record(event_type.topic, value, key.encode(), headers, partition)

    async def publish(self, event_type: EventType, *event_ids: str, key: str = "", data: str = "{}") -> list[Ack]:
        """Publish events and wait for the acknowledgements."""
        return await self.producer.send([self.event(event_type, each, key=key, data=data) for each in event_ids])

    # Workers

    @contextlib.contextmanager
    def worker(
        self, slot: int, *, command: str = "router", fault: str | None = None, **environment: str
    ) -> Iterator[Worker]:
        """Start ``headrace <command>`` and wait until it is ready; end it with the block if it still lives."""
        worker = Worker(self, slot, command, fault, environment)
        try:
            worker.start()
            yield worker
        finally:
            worker.end()

    # What came of it

    def deliveries(self, endpoint_ids: set[str]) -> list[Delivery]:
        """Every committed delivery for these endpoints, in the order of each partition."""
        return [
            Delivery.from_headers(message.headers())
            for message in self.logs.messages(topics.WEBHOOK_DELIVERIES)
            if message.key().decode() in endpoint_ids
        ]

    def receipts(self, topic: str) -> dict[int, list[RoutingReceipt]]:
        """The receipts of a topic by partition, in offset order."""
        found: dict[int, list[RoutingReceipt]] = {}
        for message in self.logs.messages(topics.ROUTING_RECEIPTS):
            if message.key().decode().startswith(f"{topic}/"):
                receipt = msgspec.json.decode(message.value(), type=RoutingReceipt)
                if receipt.run != LIVE:
                    continue  # of a replay, which looks at offsets again
                found.setdefault(receipt.partition, []).append(receipt)
        return {
            partition: sorted(receipts, key=lambda receipt: receipt.first_offset)
            for partition, receipts in found.items()
        }

    def dead_letters(self, topic: str) -> list[dict[str, bytes]]:
        """The headers of the dead letters that were set aside from a topic."""
        headers = [dict(message.headers() or ()) for message in self.logs.messages(topics.DEAD_LETTERS)]
        return [each for each in headers if each.get("hr_dead_topic") == topic.encode()]

    def wait_for_deliveries(self, endpoint_ids: set[str], count: int, timeout: float = 120) -> list[Delivery]:
        """The deliveries for these endpoints, once there are ``count`` of them."""
        found: list[Delivery] = []

        def enough() -> bool:
            found[:] = self.deliveries(endpoint_ids)
            return len(found) >= count

        wait_until(enough, timeout, f"{count} deliveries")
        return found

    def assert_receipts_tile(self, topic: str, ends: Mapping[Partition, int]) -> list[RoutingReceipt]:
        """Check that receipts cover each partition up to its end without a gap or an overlap; returns them."""
        receipts = self.receipts(topic)
        for (_, partition), end in ends.items():
            covered = receipts.get(partition, [])
            assert [each.first_offset for each in covered[1:]] == [each.next_offset for each in covered[:-1]]
            assert (covered[-1].next_offset if covered else 0) == end
            for each in covered:
                length = each.next_offset - each.first_offset
                assert each.events == (length if each.kind is ReceiptKind.ROUTED else 0)
        return [each for covered in receipts.values() for each in covered]


class Worker:
    """One ``headrace router``, ``ledger`` or ``processors``."""

    def __init__(
        self, installation: Installation, slot: int, command: str, fault: str | None, environment: Mapping[str, str]
    ) -> None:
        self._command = ("-m", "operations", command)
        directory = installation.directory / f"worker-{slot}-{uuid.uuid4().hex[:6]}"
        directory.mkdir()
        self._ready = directory / "ready"
        self._log = directory / "log"
        self._environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": installation.settings.bootstrap_servers,
            "HEADRACE_DATA_DIR": str(installation.directory),
            "HEADRACE_SECRET_KEYS": SECRET_KEYS,
            "HEADRACE_NODE_ID": installation.workspace,
            "HEADRACE_READY_FILE": str(self._ready),
            "HEADRACE_PROCESSORS_SLOT": str(slot),
            "HEADRACE_PROCESSORS_GROUP": f"router-{installation.workspace}",
            "HEADRACE_PROCESSORS_LEDGER_GROUP": f"ledger-{installation.workspace}",
            **environment,
        }
        if fault is not None:
            self._environment["HEADRACE_FAULT_BEFORE_COMMIT"] = fault
        self.process: Forked | None = None

    def start(self) -> None:
        self._ready.unlink(missing_ok=True)
        with self._log.open("wb") as log:
            self.process = Forked(*self._command, env=self._environment, stderr=log)
        wait_until(lambda: self._ready.exists() or self.exit_code is not None, 120, "the worker is ready")
        assert self.exit_code is None, self.log

    @property
    def exit_code(self) -> int | None:
        return None if self.process is None else self.process.poll()

    @property
    def is_stopped(self) -> bool:
        """Whether SIGSTOP holds it."""
        status = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        return status.rpartition(")")[2].split()[0] == "T"

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)

    def pause(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def end(self) -> None:
        """SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)


def wait_until(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Wait for a condition; fails with ``what`` when it does not come in ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"after {timeout:g} s: not {what}"
        time.sleep(0.05)


def _links(view: CatalogView) -> Iterator[str]:
    """The keys of all subscriptions, and of the contracts of eventhos that stand beside some."""
    for workspace in view.routing_versions():
        for subscription, *_ in view.live_subscriptions(workspace):
            yield subscription.key
            yield family_record_key("eventhos", "contract", subscription.id)


@contextlib.asynccontextmanager
async def installation_on(bootstrap_servers: str, directory: Path) -> AsyncIterator[Installation]:
    """An installation on a broker: internal topics, a catalog that is caught up, and a workspace of its own.

    Its routers have nothing to do but for this test: the broker's other subscriptions are deleted.
    """
    settings = KafkaSettings(bootstrap_servers=bootstrap_servers)
    admin = Admin(settings)
    await ensure_internal_topics(admin)
    catalog = Catalog(settings, [SECRET_KEYS])
    catalog.start()
    writer = CatalogWriter(catalog, settings, timeout=20)
    producer = Producer(settings)
    try:
        await catalog.caught_up()
        writer.start()
        await producer.start()
        read = (topics.WEBHOOK_DELIVERIES, topics.ROUTING_RECEIPTS, topics.DEAD_LETTERS)
        counts = {topic: await admin.partition_count(topic) for topic in read}
        began = await admin.end_offsets(
            [(topic, partition) for topic, count in counts.items() for partition in range(count)]
        )
        # Routers share out every topic that has a subscription: one of an earlier test could leave some idle.
        await writer.write(lambda view: Changes(result=None, delete=list(_links(view))))
        workspace, logs = f"ws-{uuid.uuid4().hex[:12]}", TopicLogs(settings, began)
        yield Installation(settings, directory, workspace, catalog, writer, producer, admin, logs)
        logs.close()
    finally:
        await producer.stop()
        writer.stop()
        catalog.stop()
