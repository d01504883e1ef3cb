"""Publishes operational events through the ordinary publisher, under their ids: however often, it is one event."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.retrying import retry
from connectors.webhook.operational_events import exhausted
from schemas.model import timestamps, topics
from schemas.model.delivery import Delivery
from schemas.model.errors import CorruptRecord, HeadraceError, IdempotencyMismatch
from schemas.model.event import EventDraft
from schemas.model.operational_event import NAMESPACE, OWNER, PUBLISHER, OperationalCode, is_operational, topic_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.reader import Catalog
    from backbone.kafka.producer import Producer
    from backbone.kafka.records import Record
    from backbone.publishing.idempotency import IdempotencyLog
    from backbone.publishing.publisher import Publisher
    from connectors.webhook.endpoint_states import EndpointStates
    from schemas.model.operational_event import OperationalEvent

log = logging.getLogger(__name__)

_WAITING = "an operational event"
"""For the log."""

_EVERY = 0.5
"""Seconds between two looks for events that changes of endpoints raised."""


class OperationalPublisher:
    """Publishes to workspaces that have the event types: somebody asked for them.

    The log of idempotency keys is read from the first event on. A process that publishes none pays nothing for it.

    Args:
        catalog: has the event types.
        publisher: of operational events.
        idempotency: that it uses; not started yet.
    """

    def __init__(self, catalog: Catalog, publisher: Publisher, idempotency: IdempotencyLog) -> None:
        self._catalog = catalog
        self._publisher = publisher
        self._idempotency = idempotency
        self._started = False

    async def publish(self, event: OperationalEvent) -> None:
        """Publish an event, however long Kafka takes; one that nobody can ever take is logged and dropped."""
        if not self._is_wanted(event.workspace, event.code):
            return
        if not self._started:
            self._started = True
            self._idempotency.start()
        try:
            await retry(lambda: self._publisher.publish([draft_of(event)], final=True), waiting=_WAITING)
        except IdempotencyMismatch:
            return  # it was published; told again, it happened a little later
        except HeadraceError as error:
            log.warning("an operational event cannot be published: %s", error, extra={"event": event.id})

    async def tell_of_dead(self, records: Sequence[Record]) -> None:
        """Publish that deliveries are exhausted, for the dead letters among the records of an outcome."""
        for record in records:
            if record.topic == topics.DEAD_LETTERS and (event := self._exhausted(record)) is not None:
                await self.publish(event)

    def stop(self) -> None:
        """Stop reading."""
        if self._started:
            self._idempotency.stop()

    def _is_wanted(self, workspace: str, code: OperationalCode) -> bool:
        return self._catalog.view.event_type(topic_of(workspace, code)) is not None

    def _exhausted(self, letter: Record) -> OperationalEvent | None:
        """What is to be told of a dead letter; None of poison, and of deliveries of operational events."""
        headers = dict(letter.headers or ())
        if headers.get("hr_dead_kind") != b"delivery":
            return None
        try:
            delivery = Delivery.from_headers(letter.headers)
        except CorruptRecord:
            return None
        endpoint = self._catalog.view.endpoint(delivery.endpoint)
        if endpoint is None or is_operational(delivery.source.topic):
            return None
        status = headers.get("hr_dead_status")
        return exhausted(
            endpoint,
            delivery,
            status=None if status is None else int(status),
            reason=(headers.get("hr_dead_reason") or b"").decode(errors="replace"),
            now=timestamps.now(),
        )


async def publish_raised(states: EndpointStates, publisher: OperationalPublisher, producer: Producer) -> None:
    """Publish what changes of endpoints raise, until it is cancelled."""
    while True:
        await asyncio.sleep(_EVERY)
        for key, state in states.to_publish(timestamps.now()).items():
            try:
                for event in state.raised:
                    await publisher.publish(event)
                settled = states.published(key, state)
                if settled is not None:
                    await retry(partial(producer.send, [settled], final=True))
            except Exception:  # one event must not keep the others back
                log.exception("operational events cannot be published", extra={"key": key})


def draft_of(event: OperationalEvent) -> EventDraft:
    """The event as the publisher takes it; its subject is the endpoint's id."""
    return EventDraft(
        workspace=event.workspace,
        namespace=NAMESPACE,
        code=event.code.value,
        client=PUBLISHER,
        # No client has such an id: the keys are the workspace's own.
        publisher=f"{PUBLISHER}/{event.workspace}",
        data=msgspec.json.encode(event.data),
        subject=event.endpoint,
        time=event.time,
        source=f"/headrace/endpoints/{event.endpoint}",
        producer_id=event.id,
        extensions={} if event.owner is None else {OWNER: event.owner},
    )
