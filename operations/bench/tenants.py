"""Workspaces that publish and subscribe, written to Kafka directly: what is measured is the router alone."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backbone.catalog.reader import Catalog
from backbone.catalog.writer import CatalogWriter, Changes
from backbone.kafka.admin import Admin
from backbone.kafka.producer import Producer
from backbone.kafka.records import Record
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics, event_topic_spec
from backbone.process.settings import BackboneSettings
from schemas.avro.encoding import EventEncoder, text_bytes
from schemas.avro.schema import schema_text
from schemas.model import timestamps, topics
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, Subscription, TypeSelection
from schemas.model.event import EventDraft
from schemas.model.event_type import EventType
from schemas.model.ids import delivery_id, new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from backbone.catalog.view import CatalogView
    from operations.bench.rig import Rig
    from schemas.model.delivery import Headers
    from schemas.model.resources import Resource

_TIMEOUT = 60.0
_PART = 1_000
"""Resources in one change, which has a limit of bytes."""


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """What all workspaces write with."""

    kafka: KafkaSettings
    catalog: Catalog
    writer: CatalogWriter
    admin: Admin
    producer: Producer


@contextlib.asynccontextmanager
async def gateway(rig: Rig) -> AsyncIterator[Gateway]:
    """Everything but the planes, on the rig's broker."""
    kafka = KafkaSettings(bootstrap_servers=rig.bootstrap)
    made = Gateway(
        kafka=kafka,
        catalog=(catalog := Catalog(kafka, BackboneSettings(data_dir=rig.home / "data").secret_keys)),
        writer=CatalogWriter(catalog, kafka, timeout=_TIMEOUT),
        admin=Admin(kafka),
        producer=Producer(kafka, wait=_TIMEOUT),
    )
    await ensure_internal_topics(made.admin)
    catalog.start()
    try:
        await catalog.caught_up()
        made.writer.start()
        await made.producer.start()
        yield made
    finally:
        await made.producer.stop()
        made.writer.stop()
        catalog.stop()


class Tenant:
    """One workspace: its event types, and who subscribes to them."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        self.gateway = gateway
        self.name = name
        self._links: list[str] = []
        self._delivered = 0

    async def event_types(self, *codes: str) -> list[EventType]:
        """Open event types of one partition each, with topics and schemas."""
        await self.gateway.admin.ensure_topics([event_topic_spec(self._type(code, 0), 1) for code in codes])
        return await asyncio.gather(*map(self._event_type, codes))

    async def _event_type(self, code: str) -> EventType:
        text = schema_text(workspace=self.name, namespace="events", code=code, open=True)
        subject = f"{topics.event_topic(self.name, 'events', code)}-value"

        def decide(view: CatalogView) -> Changes[EventType]:
            schema = view.next_schema(subject, text)
            made = self._type(code, schema.id)
            return Changes(result=made, put=[made], schemas=[schema])

        return await self.gateway.writer.write(decide)

    def _type(self, code: str, schema_id: int) -> EventType:
        now = timestamps.now()
        return EventType(
            workspace=self.name,
            namespace="events",
            code=code,
            open=True,
            effective_partitions=1,
            schema_id=schema_id,
            created_at=now,
            updated_at=now,
        )

    async def subscribe(
        self,
        code: str,
        endpoints: int = 1,
        *,
        of: EndpointType = EndpointType.FILE,
        condition: str | None = None,
        ordered: bool = False,
    ) -> list[str]:
        """Endpoints that get the events of a type, each by a filter of its own; returns their ids."""
        put: list[Resource] = []
        made = []
        stamps: dict[str, Any] = {"created_at": (now := timestamps.now()), "updated_at": now}
        for number in range(endpoints):
            endpoint = Endpoint(
                id=new_id(),
                workspace=self.name,
                name=f"{code}-{number}",
                type=of,
                url="http://127.0.0.1:9/" if of is EndpointType.WEB_HOOK else None,
                **stamps,
            )
            event_filter = EventFilter(
                id=new_id(),
                workspace=self.name,
                name=f"{code}-{number}",
                types=(TypeSelection(namespace="events", code=code),),
                condition=condition,
                **stamps,
            )
            link = Subscription(
                id=new_id(),
                workspace=self.name,
                event_filter=event_filter.id,
                endpoint=endpoint.id,
                order=number if ordered else None,
                **stamps,
            )
            put += [endpoint, event_filter, link]
            made.append(endpoint.id)
            self._links.append(link.key)
        for first in range(0, len(put), _PART):
            await self._write(Changes(result=None, put=put[first : first + _PART]))
        return made

    async def webhooks(self, urls: Sequence[str], **fields: Any) -> list[Endpoint]:
        """Webhook endpoints at these URLs; ``deliver`` sends to them."""
        now = timestamps.now()
        made = [
            Endpoint(
                id=new_id(),
                workspace=self.name,
                name=f"hook-{number}",
                type=EndpointType.WEB_HOOK,
                url=url,
                created_at=now,
                updated_at=now,
                **fields,
            )
            for number, url in enumerate(urls)
        ]
        for first in range(0, len(made), _PART):
            await self._write(Changes(result=None, put=made[first : first + _PART]))
        return made

    async def deliver(self, kind: EventType, endpoints: Iterable[Endpoint]) -> dict[str, str]:
        """Write deliveries of small events as the router does, and wait until Kafka has them.

        Returns:
            The endpoint of each delivery, by id.
        """
        value = self.encoded(kind, '{"n": 1}')
        written = [self._delivery(kind, value, endpoint.id) for endpoint in endpoints]
        await self.gateway.producer.send([record for _, record in written])
        return {delivery.id: delivery.endpoint for delivery, _ in written}

    def _delivery(self, kind: EventType, value: bytes, endpoint: str) -> tuple[Delivery, Record]:
        self._delivered += 1
        event = new_id()
        delivery = Delivery(
            id=delivery_id(event, endpoint),
            event=event,
            endpoint=endpoint,
            workspace=self.name,
            source=SourceOffset(kind.topic, 0, self._delivered),
            subscriptions=(),
            routed_at=timestamps.now(),
        )
        headers = [*_headers(kind, event), *delivery.to_headers()]
        return delivery, Record(topics.WEBHOOK_DELIVERIES, value, delivery.record_key, headers)

    async def leave(self) -> None:
        """Withdraw all subscriptions."""
        for first in range(0, len(self._links), _PART):
            await self._write(Changes(result=None, delete=self._links[first : first + _PART]))
        self._links.clear()

    async def _write(self, changes: Changes[None]) -> None:
        await self.gateway.writer.write(lambda _: changes)

    @staticmethod
    def encoded(kind: EventType, data: str) -> bytes:
        """The value of an event, which may be published again and again."""
        encoder = EventEncoder(schema_id=kind.schema_id, code=kind.code, attributes=(), sent=())
        draft = EventDraft(
            workspace=kind.workspace, namespace=kind.namespace, code=kind.code, client="client", publisher="client"
        )
        now = timestamps.now()
        return encoder.encode(draft, event_id=new_id(), time=now, received_at=now, data=text_bytes(data), lexical=None)

    async def publish(self, kind: EventType, value: bytes, *event_ids: str) -> None:
        """Publish events of one value, and wait until Kafka has them."""
        await self.gateway.producer.send([_record(kind, value, event_id) for event_id in event_ids])


def _record(kind: EventType, value: bytes, event_id: str) -> Record:
    return Record(kind.topic, value, b"", [*_headers(kind, event_id), ("hr_event", event_id.encode())], 0)


def _headers(kind: EventType, event_id: str) -> Headers:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", b"client"),
        ("ce_type", kind.code.encode()),
    ]
