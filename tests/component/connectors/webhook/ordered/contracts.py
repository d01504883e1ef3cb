"""Contracts for tests: endpoints with a mailbox each, and the grouped deliveries that the router would make of them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from backbone.kafka.records import Record
from schemas.model import timestamps, topics
from schemas.model.delivery import Contract, Delivery, GroupedDelivery, event_headers
from schemas.model.endpoint import RequestTemplate

if TYPE_CHECKING:
    from schemas.model.delivery import Attempt
    from schemas.model.endpoint import Endpoint
    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.receiver import Mailbox, Receiver


class Contracts:
    """Endpoints with a mailbox each, and the grouped deliveries for them."""

    def __init__(self, office: PostOffice, receiver: Receiver) -> None:
        self.office = office
        self._receiver = receiver
        self.endpoints: list[Endpoint] = []
        self.mailboxes: list[Mailbox] = []

    async def add(self, **fields: Any) -> Mailbox:
        mailbox = self._receiver.mailbox(f"contract-{uuid.uuid4()}")
        self.mailboxes.append(mailbox)
        endpoint = await self.office.endpoint(mailbox.url, request=RequestTemplate(), retry_schedule=(), **fields)
        self.endpoints.append(endpoint)
        return mailbox

    def record(self, *orders: int) -> tuple[GroupedDelivery, Record]:
        """One event for all of them, in these orders."""
        plain = self.office.delivery(self.endpoints[0])
        delivery = Delivery.from_headers(plain.headers)
        contracts = (
            Contract(order, str(uuid.uuid4()), each.id) for order, each in zip(orders, self.endpoints, strict=True)
        )
        grouped = GroupedDelivery(
            event=delivery.event,
            workspace=delivery.workspace,
            source=delivery.source,
            contracts=tuple(sorted(contracts, key=lambda each: each.order)),
            routed_at=timestamps.now(),
        )
        headers = event_headers(plain.headers) + grouped.to_headers()
        return grouped, Record(topics.WEBHOOK_DELIVERIES, plain.value, grouped.record_key, headers)

    async def deliver(self, *orders: int) -> GroupedDelivery:
        grouped, record = self.record(*orders)
        await self.office.producer.send([record])
        return grouped

    def attempts(self) -> list[Attempt]:
        """Of all endpoints, oldest first."""
        found = [attempt for endpoint in self.endpoints for attempt in self.office.attempts(endpoint)]
        return sorted(found, key=lambda each: each.started_at)
