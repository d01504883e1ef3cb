"""A record of ``dead-letters``, read: what it is, whose, and why it was set aside."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import headers_of
from schemas.model import topics
from schemas.model.delivery import Delivery, read_delivery
from schemas.model.errors import CorruptRecord
from schemas.model.ids import delivery_id
from schemas.model.topics import workspace_of

if TYPE_CHECKING:
    from backbone.kafka.records import ConsumedRecord
    from schemas.model.run import LetterFilter

_DELIVERIES = frozenset(
    (topics.WEBHOOK_DELIVERIES, topics.WEBHOOK_REPLAYS, topics.FILE_DELIVERIES, *topics.RETRY_TIERS.values())
)


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter without its value.

    Attributes:
        partition, offset: of ``dead-letters``.
        set_aside_at: microseconds since the epoch.
        workspace: name; empty for poison that belongs to none, such as a record of ``attempts``.
        reason: why it was set aside.
        kind: ``delivery`` for one whose tries are used up, ``poison`` for what cannot be handled.
        topic, source_partition, source_offset: where the record was, None where the letter does not say.
        delivery: None for what is no single delivery.
        status: HTTP status of the last response.
        response: its first characters.
    """

    partition: int
    offset: int
    set_aside_at: int
    workspace: str
    reason: str
    kind: str
    topic: str
    source_partition: int | None
    source_offset: int | None
    delivery: Delivery | None
    status: int | None
    response: str | None

    @property
    def is_ordered(self) -> bool:
        """Whether it is a delivery of an ordered subscription, which has an id of its own."""
        found = self.delivery
        return found is not None and found.id != delivery_id(found.event, found.endpoint)

    @property
    def event_topic(self) -> str:
        """The topic of its event, or the one that the poison was on."""
        return self.topic if self.delivery is None else self.delivery.source.topic

    def fits(self, wanted: LetterFilter, workspace: str) -> bool:
        """Whether a filter of a workspace names it."""
        if self.workspace != workspace and not (wanted.unowned and self.workspace == ""):
            return False
        if not self._is_for(wanted):
            return False
        if wanted.topic not in (None, self.event_topic):
            return False
        if wanted.reason is not None and wanted.reason.casefold() not in self.reason.casefold():
            return False
        after = wanted.since is None or self.set_aside_at >= wanted.since
        return after and (wanted.until is None or self.set_aside_at < wanted.until)

    def _is_for(self, wanted: LetterFilter) -> bool:
        if self.delivery is None:
            return wanted.poison and wanted.endpoint is None and wanted.endpoints is None
        endpoint = self.delivery.endpoint
        return wanted.endpoint in (None, endpoint) and (wanted.endpoints is None or endpoint in wanted.endpoints)


def read_letter(message: ConsumedRecord) -> Letter:
    """Read a record of ``dead-letters``; whatever it is, it can be listed."""
    headers = [(name, value or b"") for name, value in headers_of(message)]
    about = {name: value.decode(errors="replace") for name, value in headers if name.startswith("hr_")}
    topic = about.get("hr_dead_topic", "")
    delivery: Delivery | None = None
    workspace = workspace_of(topic) or ""
    # Whoever writes an event may name its headers like a delivery's: of events they say nothing.
    if about.get("hr_dead_kind") == "delivery" or topic in _DELIVERIES:
        with contextlib.suppress(CorruptRecord):
            found = read_delivery(headers)
            workspace = found.workspace
            delivery = found if isinstance(found, Delivery) else None
    return Letter(
        partition=message.partition(),
        offset=message.offset(),
        set_aside_at=message.timestamp()[1] * 1_000,
        workspace=workspace,
        reason=about.get("hr_dead_reason", ""),
        kind=about.get("hr_dead_kind", "poison"),
        topic=topic,
        source_partition=_number(about.get("hr_dead_partition")),
        source_offset=_number(about.get("hr_dead_offset")),
        delivery=delivery,
        status=_number(about.get("hr_dead_status")),
        response=about.get("hr_dead_response"),
    )


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
