"""What goes into the ledger: one batch of rows, from records in any order and any number of repeats."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from schemas.model.delivery import Attempt, Delivery, GroupedDelivery, RoutingReceipt
from schemas.model.redaction import Redaction
from schemas.model.run import LetterMark


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
    """A delivery that was given up, and why; ``poison`` means that its event could not be read or rendered."""

    delivery: Delivery
    reason: str
    poison: bool = False


class IdentifierRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One identifier of an event; columns as in ``tables.IDENTIFIERS``."""

    workspace: str
    event: str
    name: str
    value: str
    received_at: int


class RequestRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The request that an event came with; columns as in ``tables.REQUESTS``."""

    workspace: str
    event: str
    request: str
    retry_of: str | None
    received_at: int


class Match(NamedTuple):
    """The deliveries that an endpoint got in an hour (hours since the epoch, UTC), by one receipt."""

    endpoint: str
    hour: int
    deliveries: int
    held: int = 0


class ReceiptRow(msgspec.Struct, frozen=True, kw_only=True):
    """A routing receipt.

    Attributes:
        partition, offset: where it is on ``routing-receipts``.
        workspace: of its topic.
        created_at: when the topic's event type was made, microseconds since the epoch; None if that type was deleted.
        kept: whether the ledger keeps the deliveries of this type.
    """

    partition: int
    offset: int
    receipt: RoutingReceipt
    matches: tuple[Match, ...]
    workspace: str
    created_at: int | None
    kept: bool


class LetterRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A dead letter; columns as in ``letter_tables.LETTERS``."""

    partition: int
    offset: int
    workspace: str
    kind: str
    topic: str
    source_offset: str | None
    reason: str
    endpoint: str | None
    delivery: str | None
    event: str | None
    run: str | None
    status: int | None
    set_aside_at: int


_NOT_COUNTED = frozenset(("identifiers", "read"))


class LedgerRows(msgspec.Struct):
    """A batch.

    Attributes:
        logged: deliveries that arrived when they were routed.
        receipts: in the order of their offsets.
        read: the next offset of each partition whose reading is noted.
    """

    events: list[EventRow] = []
    deliveries: list[Delivery] = []
    logged: list[Delivery] = []
    attempts: list[Attempt] = []
    dead: list[DeadDelivery] = []
    requests: list[RequestRow] = []
    contracts: list[GroupedDelivery] = []
    identifiers: list[IdentifierRow] = []
    redactions: list[Redaction] = []
    receipts: list[ReceiptRow] = []
    letters: list[LetterRow] = []
    marks: list[LetterMark] = []
    read: dict[tuple[str, int], int] = {}

    def __len__(self) -> int:
        """Rows, without identifiers, which belong to their events."""
        return sum(len(getattr(self, name)) for name in self.__struct_fields__ if name not in _NOT_COUNTED)
