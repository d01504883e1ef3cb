"""Turns batches of raw records into ledger rows and writes them.

A batch may repeat records that an earlier one held, in any order between topics: the rows come out the same. What an
event type's ledger policy leaves out is not read where that can be avoided, and not written.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import headers_of
from backbone.ledger.rows import DeadDelivery, EventRow, LedgerRows, RequestRow
from schemas import lexical, topics
from schemas.delivery import Delivery, GroupedDelivery, read_delivery
from schemas.errors import CorruptRecord, Unavailable
from schemas.event_headers import EVENT_ID
from schemas.event_type import LedgerPolicy
from schemas.execution import HEADER, read_request
from schemas.settlement import read_attempts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import Message
    from backbone.ledger.writer import LedgerWriter
    from schemas.codec import DecodedEvent

    Decode = Callable[[bytes], DecodedEvent]
    SetAside = Callable[[Message, str], None]

log = logging.getLogger(__name__)

_LONGEST_ID = 512
"""Characters. Ids are keys of the database's indexes, which do not take them at any length."""

_ENCODER = msgspec.json.Encoder()

_OTHERS_POISON = frozenset(
    (topics.WEBHOOK_DELIVERIES, topics.WEBSOCKET_DELIVERIES, topics.FILE_DELIVERIES, topics.DEAD_LETTERS)
)
"""Poison on these topics is set aside by the connectors, or is so already."""

_SET_ASIDE = frozenset(
    topic.encode() for topic in (topics.WEBHOOK_DELIVERIES, *topics.RETRY_TIERS.values(), topics.FILE_DELIVERIES)
)
"""Poison of these topics may be a delivery all the same: of an event that cannot be rendered, say."""


class LedgerIndexer:
    """Indexes events, deliveries, attempts and dead letters. Blocking; one thread at a time.

    Args:
        writer: its tables exist.
        view: the catalog, caught up with whatever is indexed.
        decode: reads an event's value.
        set_aside: called with each poison record of an event topic or of ``attempts``, and the reason. Poison on
            ``deliveries.*`` is the connectors' to set aside, and what is on ``dead-letters`` is set aside already.
    """

    def __init__(self, *, writer: LedgerWriter, view: CatalogView, decode: Decode, set_aside: SetAside) -> None:
        self._writer = writer
        self._view = view
        self._decode = decode
        self._set_aside = set_aside
        self._readers: dict[str, Callable[[Message, LedgerRows], None]] = {
            topics.WEBHOOK_DELIVERIES: self._read_delivery,
            topics.FILE_DELIVERIES: self._read_delivery,
            topics.WEBSOCKET_DELIVERIES: self._read_logged,
            topics.ATTEMPTS: self._read_attempt,
            topics.DEAD_LETTERS: self._read_dead_letter,
        }

    def topics(self) -> frozenset[str]:
        """The topics to read at present: those of event types that the ledger keeps whole, and the fixed ones."""
        whole = (
            kind.topic
            for workspace in self._view.workspaces()
            for kind in self._view.event_types(workspace.name)
            if kind.ledger is LedgerPolicy.ALL
        )
        return frozenset((*self._readers, *whole))

    def index(self, batch: Sequence[Message]) -> int:
        """Write what the records say, in one transaction; returns the number of rows.

        Raises:
            Unavailable: the database cannot take it now; the batch is to be indexed again.
        """
        rows = LedgerRows()
        for message in batch:
            self._read(message, rows)
        try:
            self._writer.write(rows)
        except Unavailable:
            raise
        except Exception:
            # One row that the database refuses must not hold up the others: find out which it is.
            log.exception("a batch was refused by the ledger, indexing it record by record")
            return sum(map(self._index_alone, batch))
        return len(rows)

    def _index_alone(self, message: Message) -> int:
        rows = LedgerRows()
        self._read(message, rows)
        try:
            self._writer.write(rows)
        except Unavailable:
            raise
        except CorruptRecord as error:
            self._refuse(message, str(error))
            return 0
        except Exception as error:  # noqa: BLE001 -- whatever the database's driver has against it
            self._refuse(message, f"the ledger cannot hold it: {error}")
            return 0
        return len(rows)

    def _read(self, message: Message, rows: LedgerRows) -> None:
        try:
            self._readers.get(str(message.topic()), self._read_event)(message, rows)
        except CorruptRecord as error:
            self._refuse(message, str(error))
        except Exception as error:
            # The worker that this would end routes events too, and its successor would read the same record.
            log.exception("indexing a record failed")
            self._refuse(message, f"it cannot be indexed: {error!r}")

    def _refuse(self, message: Message, reason: str) -> None:
        topic = str(message.topic())
        place = {"topic": topic, "partition": message.partition(), "offset": message.offset()}
        log.warning("record not indexed", extra=place | {"reason": reason})
        if topic not in _OTHERS_POISON:
            self._set_aside(message, reason)

    def _policy(self, topic: str) -> LedgerPolicy:
        kind = self._view.event_type(topic)
        return LedgerPolicy.ALL if kind is None else kind.ledger

    def _read_event(self, message: Message, rows: LedgerRows) -> None:
        topic = str(message.topic())
        if self._policy(topic) is LedgerPolicy.ALL:
            self._add_event(message, topic, f"{topic}/{message.partition()}/{message.offset()}", rows)

    def _read_delivery(self, message: Message, rows: LedgerRows) -> None:
        found = read_delivery(headers_of(message))
        deliveries = _deliveries(found)
        source = found.source
        policy = self._policy(source.topic)
        if policy is not LedgerPolicy.NONE:
            rows.deliveries += deliveries
            if isinstance(found, GroupedDelivery):
                rows.contracts.append(found)
        if policy is LedgerPolicy.DELIVERED:
            # The delivery's value is the event's, unchanged.
            self._add_event(message, source.topic, str(source), rows)

    def _read_logged(self, message: Message, rows: LedgerRows) -> None:
        """A delivery to a realtime channel has arrived when it is in the channel's log."""
        if dict(headers_of(message)).get("hr_delivery") is None:
            return  # what a client published there itself is no event
        before = len(rows.deliveries)
        self._read_delivery(message, rows)
        rows.logged += rows.deliveries[before:]
        del rows.deliveries[before:]

    def _read_attempt(self, message: Message, rows: LedgerRows) -> None:
        attempts = read_attempts(message.value() or b"")
        for made in attempts:
            _check_lengths(made.id, made.delivery, made.run, made.event, made.workspace, str(made.source))
        rows.attempts += [made for made in attempts if self._policy(made.source.topic) is not LedgerPolicy.NONE]

    def _read_dead_letter(self, message: Message, rows: LedgerRows) -> None:
        headers = headers_of(message)
        why = dict(headers)
        is_poison = why.get("hr_dead_kind") != b"delivery"
        if is_poison and why.get("hr_dead_topic") not in _SET_ASIDE:
            return
        try:
            found = read_delivery(headers)
        except CorruptRecord:
            if is_poison:
                return  # set aside because it is no delivery
            raise
        deliveries = _deliveries(found)
        if self._policy(found.source.topic) is not LedgerPolicy.NONE:
            rows.dead += [DeadDelivery(delivery, _text(why.get("hr_dead_reason"))) for delivery in deliveries]

    def _add_event(self, message: Message, topic: str, source_offset: str, rows: LedgerRows) -> None:
        kind = self._view.event_type(topic)
        value = message.value()
        if kind is None or value is None:
            # The type was deleted, or the record is the tombstone of a compacted topic.
            return
        event = self._decode(value)
        headers = dict(headers_of(message))
        event_id = _text(headers.get(EVENT_ID)) or event.event_id
        _check_lengths(event_id)
        # Records of earlier releases have the producer's id only there.
        own_id = _text(headers.get("ce_id")) or event.id
        producer_id = None if own_id == event_id else own_id
        if HEADER in headers:
            request = _text(headers[HEADER])
            read = read_request(request)
            rows.requests.append(
                RequestRow(
                    workspace=kind.workspace,
                    event=event_id,
                    request=request,
                    retry_of=read.retry_of if read else None,
                    received_at=event.received_at,
                )
            )
        rows.events.append(
            EventRow(
                workspace=kind.workspace,
                id=event_id,
                topic=topic,
                source_offset=source_offset,
                namespace=kind.namespace,
                code=kind.code,
                source=event.clientid,
                subject=event.subject,
                time=event.time,
                received_at=event.received_at,
                channel=event.channel,
                identifiers=_ENCODER.encode(event.identifiers).decode(),
                data=event.data_json().decode(),
                producer_id=producer_id,
                type=event.type if event.type != kind.code else None,
                ce_source=event.source if event.source != event.clientid else None,
                time_text=(event.lexical or {}).get(lexical.TIME),
                dataschema=event.dataschema,
                datacontenttype=event.datacontenttype,
                extensions=_ENCODER.encode(event.extension_values()).decode() if event.extensions else None,
            )
        )


def _deliveries(found: Delivery | GroupedDelivery) -> list[Delivery]:
    """Each delivery of a record.

    Raises:
        CorruptRecord: its ids are longer than the ledger takes.
    """
    deliveries = [found] if isinstance(found, Delivery) else found.deliveries()
    for each in deliveries:
        _check_lengths(each.id, each.run, each.event, each.workspace, str(each.source))
    return deliveries


def _text(header: bytes | None) -> str:
    # A record of another producer may carry a header without a value.
    return (header or b"").decode(errors="replace")


def _check_lengths(*ids: str) -> None:
    for text in ids:
        if len(text) > _LONGEST_ID:
            raise CorruptRecord(f"an id of {len(text)} characters; at most {_LONGEST_ID} are")
