"""Puts deliveries on ``deliveries.webhook`` as the router does, and reads what the connector writes about them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from backbone.catalog.event_types import EventTypes
from backbone.catalog.indexes import RegisteredSchema
from backbone.catalog.operational_types import have_operational_types
from backbone.catalog.reader import Catalog
from backbone.catalog.secrets import SecretBox
from backbone.catalog.writer import CatalogWriter, Changes
from backbone.kafka.admin import Admin
from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.producer import Producer
from backbone.kafka.records import Message, Partition, Record
from backbone.kafka.topology import ensure_internal_topics
from schemas.avro.schema import schema_text
from schemas.avro.validation import EventWriter
from schemas.model import ids, timestamps, topics
from schemas.model.access import Workspace
from schemas.model.batched_attempts import read_attempts
from schemas.model.delivery import Attempt, Delivery, EndpointState, SourceOffset
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.event import EventDraft
from schemas.model.event_type import Attribute, EventType, LedgerPolicy
from schemas.model.operational_event import topic_of
from tests.support.running_gateway import SECRET_KEYS
from tests.support.topic_log import TopicLogs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from backbone.kafka.settings import KafkaSettings
    from schemas.model.operational_event import OperationalCode
    from schemas.model.resources import Resource
    from tests.component.connectors.receiver import Receiver

SECRET_KEY = SECRET_KEYS
ATTRIBUTES = (
    Attribute(name="orderId", type="String", required=True),
    Attribute(name="total", type="Number"),
    Attribute(name="paid", type="Boolean"),
)


class PostOffice:
    """What one test works with: a workspace with one typed event type, and endpoints as it needs them."""

    def __init__(
        self,
        settings: KafkaSettings,
        producer: Producer,
        reader: Catalog,
        catalog: CatalogWriter,
        began: dict[Partition, int],
    ) -> None:
        self.settings = settings
        self._reader = reader
        self._catalog = catalog
        self.producer = producer
        self.workspace = f"ws-{uuid.uuid4().hex[:12]}"
        self.logs = TopicLogs(settings, began)
        self._box = SecretBox([SECRET_KEY])
        self._events = 0

    async def open(self) -> None:
        """Register the event type."""
        now = timestamps.now()
        self.event_type = EventType(
            workspace=self.workspace,
            namespace="shop",
            code="Order",
            attributes=ATTRIBUTES,
            effective_partitions=1,
            # The ledgers of other tests read all that there is on the broker.
            ledger=LedgerPolicy.NONE,
            schema_id=random.randrange(10**6, 2**31),
            created_at=now,
            updated_at=now,
        )
        text = schema_text(workspace=self.workspace, namespace="shop", code="Order", attributes=ATTRIBUTES)
        schema = RegisteredSchema(self.event_type.schema_id, self.event_type.subject, 1, text)
        self._writer = EventWriter(self.event_type, None)
        await self.write(self.event_type, schemas=[schema])

    async def endpoint(self, url: str, *secrets: str, **fields: Any) -> Endpoint:
        now = timestamps.now()
        made = Endpoint(
            id=ids.new_id(),
            workspace=self.workspace,
            name="endpoint",
            type=EndpointType.WEB_HOOK,
            url=url,
            signing_secrets=tuple(self._box.seal(secret) for secret in secrets),
            created_at=now,
            updated_at=now,
            **fields,
        )
        await self.put(made)
        return made

    def sealed(self, plain: str) -> str:
        """A secret as the catalog keeps it."""
        return self._box.seal(plain)

    async def put(self, endpoint: Endpoint) -> None:
        await self.write(endpoint)

    async def delete(self, endpoint: Endpoint) -> None:
        await self.write(delete=[endpoint.key])

    async def write(self, *put: Resource, delete: Sequence[str] = (), schemas: Sequence[RegisteredSchema] = ()) -> None:
        """Change the catalog, whatever it says now."""
        await self._catalog.write(lambda _view: Changes(put=put, delete=delete, schemas=schemas, result=None))

    async def have_operational_types(self) -> None:
        """Do what the API does for the first filter that selects them."""
        now = timestamps.now()
        await self.write(Workspace(id=ids.new_id(), name=self.workspace, created_at=now, updated_at=now))
        event_types = EventTypes(self._reader, self._catalog, Admin(self.settings))
        await have_operational_types(self._reader, event_types, self.workspace)

    def delivery(self, endpoint: Endpoint, data: bytes = b'{"orderId":"A-1","total":125.50}', **fields: Any) -> Record:
        """A routed delivery."""
        event_id = ids.new_id()
        draft = EventDraft(
            workspace=self.workspace,
            namespace="shop",
            code="Order",
            client="client-1",
            publisher="client-1",
            data=data,
            subject="A-1",
        )
        value, _ = self._writer.write(draft, event_id=event_id, received_at=timestamps.now())
        self._events += 1
        delivery = Delivery(
            id=ids.delivery_id(event_id, endpoint.id),
            event=event_id,
            endpoint=endpoint.id,
            workspace=self.workspace,
            source=SourceOffset(self.event_type.topic, 0, self._events),
            subscriptions=("subscription-1",),
            **{"routed_at": timestamps.now(), **fields},
        )
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", event_id.encode()),
            ("ce_source", b"client-1"),
            ("ce_type", b"Order"),
            ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ]
        return Record(topics.WEBHOOK_DELIVERIES, value, endpoint.id.encode(), headers + delivery.to_headers())

    async def deliver(self, endpoint: Endpoint, count: int = 1, **fields: Any) -> list[Delivery]:
        """Route so many events to the endpoint."""
        routed = [self.delivery(endpoint, **fields) for _ in range(count)]
        await self.producer.send(routed)
        return [Delivery.from_headers(record.headers) for record in routed]

    # What came of it

    def attempts(self, endpoint: Endpoint) -> list[Attempt]:
        """Oldest first."""
        made = (one for message in self._read(topics.ATTEMPTS) for one in read_attempts(message.value() or b""))
        return sorted((each for each in made if each.endpoint == endpoint.id), key=lambda each: each.started_at)

    def dead_letters(self, key: str) -> list[tuple[dict[str, bytes], bytes | None]]:
        """Headers and value of the dead letters with a key."""
        return [
            (dict(message.headers() or ()), message.value())
            for message in self._read(topics.DEAD_LETTERS)
            if message.key() == key.encode()
        ]

    def endpoint_state(self, endpoint: Endpoint) -> EndpointState | None:
        """What was last learned of it, a pause or a disabling."""
        found = None
        for message in self._read(topics.ENDPOINT_STATE):
            if message.key() in (endpoint.id.encode(), f"{endpoint.id}/pause".encode()):
                found = msgspec.json.decode(message.value() or b"", type=EndpointState)
        return found

    def waiting(self, endpoint: Endpoint) -> list[tuple[str, Delivery]]:
        """Tier and delivery of everything that ever was on a retry tier for the endpoint."""
        return [
            (tier, Delivery.from_headers(message.headers()))
            for tier in topics.RETRY_TIERS.values()
            for message in self._read(tier)
            if message.key() == endpoint.id.encode()
        ]

    def returned(self, endpoint: Endpoint) -> list[Delivery]:
        """Everything that came back from a retry tier onto ``deliveries.webhook`` for the endpoint."""
        return [
            Delivery.from_headers(message.headers())
            for message in self._read(topics.WEBHOOK_DELIVERIES)
            if message.key() == endpoint.id.encode()
        ]

    def operational_events(self, code: OperationalCode) -> list[dict[str, bytes]]:
        """The headers of the operational events of a type, and their values as ``value``."""
        topic = topic_of(self.workspace, code)
        return [{**dict(message.headers() or ()), "value": message.value() or b""} for message in self._read(topic)]

    def _read(self, topic: str) -> list[Message]:
        """What was written to a topic since the test began."""
        return self.logs.messages(topic)


async def until(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Wait for a condition, which may read Kafka."""
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, f"after {seconds:g} s: not {what}"
        await asyncio.sleep(0.02)


async def read_by_connector(office: PostOffice, receiver: Receiver) -> None:
    """Wait until the connector has read what the catalog says now: of an endpoint that is new to it, it asks there."""
    mailbox = receiver.mailbox(f"mark-{uuid.uuid4()}")
    await office.deliver(await office.endpoint(mailbox.url))
    await until(lambda: bool(mailbox.received), "the connector has read the catalog")


@contextlib.asynccontextmanager
async def post_office_on(settings: KafkaSettings) -> AsyncIterator[PostOffice]:
    """A post office on a broker."""
    admin = Admin(settings)
    await ensure_internal_topics(admin)
    producer = Producer(settings)
    await producer.start()
    consumer = BatchConsumer(settings, group=None)
    read = [
        topics.WEBHOOK_DELIVERIES,
        topics.ATTEMPTS,
        topics.DEAD_LETTERS,
        topics.ENDPOINT_STATE,
        *topics.RETRY_TIERS.values(),
    ]
    began = await asyncio.to_thread(lambda: consumer.end_offsets(consumer.partitions_of(read)))
    catalog = Catalog(settings, [SECRET_KEY])
    catalog.start()
    writer = CatalogWriter(catalog, settings, timeout=60)
    writer.start()
    office = PostOffice(settings, producer, catalog, writer, began)
    try:
        await office.open()
        yield office
    finally:
        await producer.stop()
        await asyncio.to_thread(writer.stop)
        await asyncio.to_thread(catalog.stop)
        await asyncio.to_thread(consumer.close)
        await asyncio.to_thread(office.logs.close)
