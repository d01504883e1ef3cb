"""Turns batches of raw records into ledger rows and writes them.

A batch may repeat records of earlier batches, in any order between topics: the rows are the same. Records that an event
type's ledger policy leaves out are not written, and if possible not read.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import headers_of
from backbone.ledger.rows import DeadDelivery, EventRow, IdentifierRow, LedgerRows, Match, ReceiptRow, RequestRow
from backbone.ledger.tables import LONGEST_IDENTIFIER, LONGEST_NAME
from schemas.avro import original_text
from schemas.model import topics
from schemas.model.batched_attempts import read_attempts
from schemas.model.contract_call import HEADER, read_request
from schemas.model.delivery import Delivery, GroupedDelivery, RoutingReceipt, read_delivery
from schemas.model.errors import CorruptRecord, Unavailable
from schemas.model.event_headers import EVENT_ID
from schemas.model.event_type import LedgerPolicy
from schemas.model.ids import LIVE
from schemas.model.redaction import read_redaction
from stream_processors.indexing.letters import letter_row, read_mark

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import ConsumedRecord
    from backbone.ledger.writer import LedgerWriter
    from schemas.avro.codec import DecodedEvent

    Decode = Callable[[bytes], DecodedEvent]
    SetAside = Callable[[ConsumedRecord, str], None]

log = logging.getLogger(__name__)

_LONGEST_ID = 512
"""Most characters of an id: ids are keys of the database's indexes, which limit the length."""

_MOST_IDENTIFIERS = 50
"""Of one event by which it is found."""

_ENCODER = msgspec.json.Encoder()
_RECEIPTS = msgspec.json.Decoder(RoutingReceipt)
_SECONDS = 3_600
"""Of an hour."""

_OTHERS_POISON = frozenset(
    (
        topics.WEBHOOK_DELIVERIES,
        topics.WEBHOOK_REPLAYS,
        topics.WEBSOCKET_DELIVERIES,
        topics.FILE_DELIVERIES,
        topics.DEAD_LETTERS,
    )
)
"""Topics whose poison records the connectors move to ``dead-letters``, and that topic itself."""

_SET_ASIDE = frozenset(
    topic.encode()
    for topic in (
        topics.WEBHOOK_DELIVERIES,
        topics.WEBHOOK_REPLAYS,
        *topics.RETRY_TIERS.values(),
        topics.FILE_DELIVERIES,
    )
)
"""Topics whose poison records can be valid deliveries, for example of an event that cannot be rendered."""


class LedgerIndexer:
    """Indexes events, deliveries, attempts and dead letters. Blocks; used by one thread at a time.

    Args:
        writer: writes the rows; its tables must exist.
        view: the catalog, at least as new as the indexed records.
        decode: reads an event's value.
        set_aside: called with each poison record of an event topic or of ``attempts``, and the reason. Connectors move
            poison records of ``deliveries.*`` to ``dead-letters``.
    """

    def __init__(self, *, writer: LedgerWriter, view: CatalogView, decode: Decode, set_aside: SetAside) -> None:
        self._writer = writer
        self._view = view
        self._decode = decode
        self._set_aside = set_aside
        self._readers: dict[str, Callable[[ConsumedRecord, LedgerRows], None]] = {
            topics.WEBHOOK_DELIVERIES: self._read_delivery,
            topics.WEBHOOK_REPLAYS: self._read_delivery,
            topics.FILE_DELIVERIES: self._read_delivery,
            topics.WEBSOCKET_DELIVERIES: self._read_logged,
            topics.ATTEMPTS: self._read_attempt,
            topics.DEAD_LETTERS: self._read_dead_letter,
            topics.ROUTING_RECEIPTS: self._read_receipt,
            topics.REDACTIONS: self._read_redaction,
            topics.DEAD_LETTER_MARKS: read_mark,
        }

    @property
    def noted_topics(self) -> frozenset[str]:
        """The topics of which the ledger notes how far it has read them."""
        return frozenset(self._readers)

    def topics(self) -> frozenset[str]:
        """The topics to read now: those of event types that the ledger keeps completely, and the fixed ones."""
        whole = (
            kind.topic
            for workspace in self._view.workspaces()
            for kind in self._view.event_types(workspace.name)
            if kind.ledger is LedgerPolicy.ALL
        )
        return frozenset((*self._readers, *whole))

    def index(self, batch: Sequence[ConsumedRecord]) -> int:
        """Write the rows of the records in one transaction; return their number.

        Raises:
            Unavailable: the database does not answer; index the batch again later.
        """
        rows = LedgerRows()
        for message in batch:
            self._read(message, rows)
        try:
            self._writer.write(rows)
        except Unavailable:
            raise
        except Exception:
            # A row that the database refuses must not block the others: find it.
            log.exception("a batch was refused by the ledger, indexing it record by record")
            return sum(map(self._index_alone, batch))
        return len(rows)

    def _index_alone(self, message: ConsumedRecord) -> int:
        rows = LedgerRows()
        self._read(message, rows)
        try:
            self._writer.write(rows)
        except Unavailable:
            raise
        except CorruptRecord as error:
            self._refuse(message, str(error))
            return 0
        except Exception as error:  # noqa: BLE001 -- the database's driver may raise anything
            self._refuse(message, f"the ledger cannot hold it: {error}")
            return 0
        return len(rows)

    def _read(self, message: ConsumedRecord, rows: LedgerRows) -> None:
        topic = message.topic()
        if topic in self._readers:
            rows.read[topic, message.partition()] = message.offset() + 1
        try:
            self._readers.get(topic, self._read_event)(message, rows)
        except CorruptRecord as error:
            self._refuse(message, str(error))
        except Exception as error:
            # Ending the worker would not help: its successor would read the same record.
            log.exception("indexing a record failed")
            self._refuse(message, f"it cannot be indexed: {error!r}")

    def _refuse(self, message: ConsumedRecord, reason: str) -> None:
        topic = message.topic()
        place = {"topic": topic, "partition": message.partition(), "offset": message.offset()}
        log.warning("record not indexed", extra=place | {"reason": reason})
        if topic not in _OTHERS_POISON:
            self._set_aside(message, reason)

    def _policy(self, topic: str) -> LedgerPolicy:
        kind = self._view.event_type(topic)
        return LedgerPolicy.ALL if kind is None else kind.ledger

    def _read_event(self, message: ConsumedRecord, rows: LedgerRows) -> None:
        topic = message.topic()
        if self._policy(topic) is LedgerPolicy.ALL:
            self._add_event(message, topic, f"{topic}/{message.partition()}/{message.offset()}", rows)

    def _read_delivery(self, message: ConsumedRecord, rows: LedgerRows) -> None:
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

    def _read_logged(self, message: ConsumedRecord, rows: LedgerRows) -> None:
        """Index a delivery to a realtime channel; in the channel's log it counts as delivered."""
        if dict(headers_of(message)).get("hr_delivery") is None:
            return  # a message that a client published to the channel is no event
        before = len(rows.deliveries)
        self._read_delivery(message, rows)
        rows.logged += rows.deliveries[before:]
        del rows.deliveries[before:]

    def _read_attempt(self, message: ConsumedRecord, rows: LedgerRows) -> None:
        attempts = read_attempts(message.value() or b"")
        for made in attempts:
            _check_lengths(made.id, made.delivery, made.run, made.event, made.workspace, str(made.source))
        rows.attempts += [made for made in attempts if self._policy(made.source.topic) is not LedgerPolicy.NONE]

    def _read_dead_letter(self, message: ConsumedRecord, rows: LedgerRows) -> None:
        rows.letters.append(letter_row(message, longest_id=_LONGEST_ID))
        headers = headers_of(message)
        why = dict(headers)
        is_poison = why.get("hr_dead_kind") != b"delivery"
        if is_poison and why.get("hr_dead_topic") not in _SET_ASIDE:
            return
        try:
            found = read_delivery(headers)
        except CorruptRecord:
            if is_poison:
                return  # it was set aside because it is no delivery
            raise
        deliveries = _deliveries(found)
        if self._policy(found.source.topic) is not LedgerPolicy.NONE:
            reason = _text(why.get("hr_dead_reason"))
            rows.dead += [DeadDelivery(delivery, reason, poison=is_poison) for delivery in deliveries]

    def _read_redaction(self, message: ConsumedRecord, rows: LedgerRows) -> None:
        value = message.value()
        if value is not None:
            redaction = read_redaction(value)
            _check_lengths(redaction.workspace, redaction.event)
            rows.redactions.append(redaction)

    def _read_receipt(self, message: ConsumedRecord, rows: LedgerRows) -> None:
        try:
            receipt = _RECEIPTS.decode(message.value() or b"")
            matches = tuple(
                Match(endpoint, _hour(hour), count, receipt.held.get(endpoint, (0, 0))[1])
                for endpoint, hours in receipt.matched.items()
                for hour, count in hours.items()
            )
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise CorruptRecord(f"not a routing receipt: {error}") from error
        if receipt.run != LIVE:
            return  # a run looks again at offsets that the router has accounted for
        kind = self._view.event_type(receipt.topic)
        workspace = topics.workspace_of(receipt.topic) if kind is None else kind.workspace
        if workspace is None:
            raise CorruptRecord(f"a receipt of {receipt.topic}, which is no event topic")
        rows.receipts.append(
            ReceiptRow(
                partition=message.partition(),
                offset=message.offset(),
                receipt=receipt,
                matches=matches,
                workspace=workspace,
                created_at=kind.created_at if kind is not None and kind.created_at <= receipt.routed_at else None,
                kept=self._policy(receipt.topic) is not LedgerPolicy.NONE,
            )
        )

    def _add_event(self, message: ConsumedRecord, topic: str, source_offset: str, rows: LedgerRows) -> None:
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
        rows.identifiers += _identifiers(kind.workspace, event_id, event)
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
                time_text=(event.lexical or {}).get(original_text.TIME),
                dataschema=event.dataschema,
                datacontenttype=event.datacontenttype,
                extensions=_ENCODER.encode(event.extension_values()).decode() if event.extensions else None,
            )
        )


def _deliveries(found: Delivery | GroupedDelivery) -> list[Delivery]:
    """The deliveries of a record.

    Raises:
        CorruptRecord: an id is longer than the ledger allows.
    """
    deliveries = [found] if isinstance(found, Delivery) else found.deliveries()
    for each in deliveries:
        _check_lengths(each.id, each.run, each.event, each.workspace, str(each.source))
    return deliveries


def _hour(text: str) -> int:
    """Read a receipt's hour (``2026-11-21T03``, UTC) as hours since the epoch."""
    return int(datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC).timestamp()) // _SECONDS


def _identifiers(workspace: str, event_id: str, event: DecodedEvent) -> list[IdentifierRow]:
    """Rows by which an event is found: its identifiers, and CloudEvents extensions."""
    named = [(each.name, each.value) for each in event.identifiers or ()]
    named += (event.extensions or {}).items()
    return [
        IdentifierRow(
            workspace=workspace,
            event=event_id,
            name=name[:LONGEST_NAME],
            value=value[:LONGEST_IDENTIFIER],
            received_at=event.received_at,
        )
        for name, value in named[:_MOST_IDENTIFIERS]
    ]


def _text(header: bytes | None) -> str:
    # A record of another producer may carry a header without a value.
    return (header or b"").decode(errors="replace")


def _check_lengths(*ids: str) -> None:
    for text in ids:
        if len(text) > _LONGEST_ID:
            raise CorruptRecord(f"an id of {len(text)} characters; at most {_LONGEST_ID} are")
