"""What goes into the ledger: one batch of rows, from records in any order and any number of repeats."""

from __future__ import annotations

import msgspec

from schemas.delivery import Attempt, Delivery, GroupedDelivery


class EventRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event; columns as in ``tables.EVENTS``."""

    workspace: str
    id: str
    topic: str
    source_offset: str
    namespace: str
    code: str
    source: str
    subject: str | None
    time: int
    received_at: int
    channel: str | None
    identifiers: str
    data: str
    producer_id: str | None
    type: str | None = None
    ce_source: str | None = None
    time_text: str | None = None
    dataschema: str | None = None
    datacontenttype: str | None = None
    extensions: str | None = None


class DeadDelivery(msgspec.Struct, frozen=True):
    """A delivery that was given up, and why."""

    delivery: Delivery
    reason: str


class RequestRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The request that an event came with; columns as in ``tables.REQUESTS``."""

    workspace: str
    event: str
    request: str
    retry_of: str | None
    received_at: int


class LedgerRows(msgspec.Struct):
    """A batch; ``logged`` are deliveries that arrived when they were routed."""

    events: list[EventRow] = []
    deliveries: list[Delivery] = []
    logged: list[Delivery] = []
    attempts: list[Attempt] = []
    dead: list[DeadDelivery] = []
    requests: list[RequestRow] = []
    contracts: list[GroupedDelivery] = []

    def __len__(self) -> int:
        return sum(len(getattr(self, name)) for name in self.__struct_fields__)
