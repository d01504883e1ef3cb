"""What the router writes for one matched event: its deliveries, and the receipts that account for every offset."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import msgspec

from backbone.kafka.records import Record, dead_letter, headers_of
from schemas import topics
from schemas.channels import delivery_channel
from schemas.delivery import (
    Contract,
    Delivery,
    GroupedDelivery,
    ReceiptKind,
    RoutingReceipt,
    SourceOffset,
    event_headers,
)
from schemas.event_headers import EVENT_ID
from schemas.execution import received_request
from schemas.ids import contract_delivery_id, delivery_id
from schemas.subscription import EndpointType
from stream_processors.record_view import RecordView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.records import Message, Partition
    from schemas.delivery import Headers
    from stream_processors.matching import Match
    from stream_processors.reader import ConsumedRecord
    from stream_processors.record_view import Decoding

_ENCODER = msgspec.json.Encoder()
_ENDPOINTS = 5_000
"""In one receipt, of about 60 bytes each: a record that Kafka does not take for its size would stop the router."""

FAN_OUT_BYTES = 128 * 1024 * 1024
"""That one event may become, in all of its deliveries: they are one transaction, and everybody waits for that."""

TOO_WIDE = (
    "The event is too large for so many endpoints: its deliveries together would be over the limit of "
    f"{FAN_OUT_BYTES // 1024 // 1024} MiB."
)

_TOPICS = {
    EndpointType.WEB_HOOK: topics.WEBHOOK_DELIVERIES,
    EndpointType.WEB_SOCKET: topics.WEBSOCKET_DELIVERIES,
    EndpointType.FILE: topics.FILE_DELIVERIES,
}


def event_id(message: ConsumedRecord, decoding: Decoding) -> str:
    """The gateway's id of an event; records of earlier releases and of other producers have it in their values only.

    Raises:
        CorruptRecord: there is no such header, and the value cannot be read.
    """
    for name, found in headers_of(message):
        if name == EVENT_ID and found:
            return found.decode(errors="replace")
    return decoding.decode(message.value() or b"").event_id


def wanted(message: ConsumedRecord, matches: Sequence[Match]) -> Sequence[Match]:
    """What of its matches an event is for: of a contract that a person sent again, that contract only."""
    if all(match.order is None for match in matches):
        return matches
    request = received_request(headers_of(message))
    if request is None or request.contract is None:
        return matches
    return [match for match in matches if match.subscriptions == (request.contract,)]


def within_fan_out(message: ConsumedRecord, matches: Sequence[Match]) -> Sequence[Match]:
    """The matches, of which those fail that are too many for an event of this size."""
    most = _most_copies(message)
    if len(matches) <= most:
        return matches
    return [each if number < most else each._replace(failure=TOO_WIDE) for number, each in enumerate(matches)]


def _most_copies(message: ConsumedRecord) -> int:
    return FAN_OUT_BYTES // max(1, len(message.value() or b""))


def delivery_records(
    message: ConsumedRecord, event: str, matches: Sequence[Match], *, routed_at: int, decoding: Decoding
) -> list[Record]:
    """A record for each endpoint, and one for all contracts together; see ``delivery_record``.

    Headers of the event that are named like a delivery's are left out: another producer's ``due`` is no due time, and
    nobody who can write an event can forge where it goes.
    """
    own = event_headers(headers_of(message))
    view = RecordView(message, message.value() or b"", decoding)
    records = []
    whole = len(matches) <= _most_copies(message)
    grouped: list[Match] = []
    for match in matches:
        if match.failure is not None:
            records.append(_failed_record(message, own, event, match, routed_at, whole=whole))
        elif match.order is None or match.endpoint.type is not EndpointType.WEB_HOOK:
            records.append(delivery_record(message, own, event, match, routed_at=routed_at, view=view))
        else:
            grouped.append(match)
    if grouped:
        records.append(_grouped_record(message, own, event, grouped, routed_at))
    return records


def delivery_record(
    message: ConsumedRecord,
    own: Headers,
    event: str,
    match: Match,
    *,
    routed_at: int,
    view: RecordView,
) -> Record:
    """One event for one endpoint: the event's bytes and headers unchanged, the delivery's headers beside them.

    Args:
        message: the event as consumed.
        own: its headers.
        event: its id.
        match: where it goes, which decides the topic, and for which subscriptions.
        routed_at: microseconds since the epoch.
        view: of the event, should the endpoint's channel template look at it.

    Raises:
        CorruptRecord: the event cannot be read.
    """
    endpoint = match.endpoint
    delivery = _delivery(message, event, match, routed_at)
    headers = own + delivery.to_headers()
    key = delivery_channel(endpoint, view) if endpoint.type is EndpointType.WEB_SOCKET else delivery.record_key
    return Record(_TOPICS[endpoint.type], message.value(), key, headers)


def _delivery(message: ConsumedRecord, event: str, match: Match, routed_at: int) -> Delivery:
    endpoint = match.endpoint
    return Delivery(
        id=delivery_id(event, endpoint.id),
        event=event,
        endpoint=endpoint.id,
        workspace=endpoint.workspace,
        source=SourceOffset(message.topic(), message.partition(), message.offset()),
        subscriptions=tuple(match.subscriptions),
        routed_at=routed_at,
    )


def _failed_record(
    message: ConsumedRecord, own: Headers, event: str, match: Match, routed_at: int, *, whole: bool
) -> Record:
    """The delivery on ``dead-letters``, untried; ``whole`` if there is room for the event's value."""
    delivery = _delivery(message, event, match, routed_at)
    if match.order is not None:
        delivery = msgspec.structs.replace(delivery, id=contract_delivery_id(event, match.subscriptions[0]))
    letter = dead_letter(cast("Message", message), reason=match.failure or "", kind="delivery", key=delivery.record_key)
    about = [header for header in letter.headers or () if header[0].startswith("hr_dead_")]
    headers = own + delivery.to_headers() + about
    return msgspec.structs.replace(letter, value=letter.value if whole else None, headers=headers)


def _grouped_record(
    message: ConsumedRecord, own: Headers, event: str, matches: Sequence[Match], routed_at: int
) -> Record:
    """The event for all its ordered webhook subscriptions: keyed by the event, for no endpoint is its only one."""
    contracts = [
        Contract(match.order, match.subscriptions[0], match.endpoint.id) for match in matches if match.order is not None
    ]
    grouped = GroupedDelivery(
        event=event,
        workspace=matches[0].endpoint.workspace,
        source=SourceOffset(message.topic(), message.partition(), message.offset()),
        contracts=tuple(sorted(contracts, key=lambda contract: (contract.order, contract.subscription))),
        routed_at=routed_at,
    )
    headers = own + grouped.to_headers()
    return Record(topics.WEBHOOK_DELIVERIES, message.value(), grouped.record_key, headers)


class _Range:
    """Consecutive offsets of one partition with one receipt."""

    __slots__ = ("events", "first", "kind", "matched", "next")

    def __init__(self, kind: ReceiptKind, first: int, end: int) -> None:
        self.kind = kind
        self.first = first
        self.next = end
        self.events = 0
        self.matched: Counter[str] = Counter()


class Tally:
    """The offsets that one transaction accounts for, and their receipts.

    Args:
        expected: for every partition, the first offset that no committed receipt covers. Shared by the transactions of
            one generation; ``settle`` moves it on, and only a committed transaction is settled.
    """

    def __init__(self, expected: dict[Partition, int]) -> None:
        self._expected = expected
        self._ranges: dict[Partition, list[_Range]] = {}
        self.skipped = 0

    def add(self, partition: Partition, offset: int) -> bool:
        """Account for one event; False when it is behind what was committed and must not be routed again."""
        ranges = self._ranges.get(partition)
        expected = ranges[-1].next if ranges else self._expected.get(partition, offset)
        if offset < expected:
            return False
        if ranges is None:
            ranges = self._ranges[partition] = []
        if offset > expected:
            # Compaction, retention, an aborted transaction, or a topic nobody subscribed to for a while.
            ranges.append(_Range(ReceiptKind.SKIPPED, expected, offset))
            self.skipped += offset - expected
        if not ranges or ranges[-1].kind is ReceiptKind.SKIPPED:
            ranges.append(_Range(ReceiptKind.ROUTED, offset, offset))
        last = ranges[-1]
        last.next = offset + 1
        last.events += 1
        return True

    def matched(self, partition: Partition, endpoint: str) -> None:
        """Count one delivery of the event that was added last."""
        self._ranges[partition][-1].matched[endpoint] += 1

    @property
    def events(self) -> int:
        """Events accounted for."""
        return sum(covered.events for ranges in self._ranges.values() for covered in ranges)

    def offsets(self) -> dict[Partition, int]:
        """What to commit: the next offset of every partition."""
        return {partition: ranges[-1].next for partition, ranges in self._ranges.items()}

    def receipts(self, routed_at: int) -> list[Record]:
        """One record on ``routing-receipts`` per range; ``routed_at`` in microseconds since the epoch.

        What went to more endpoints than one record can name is followed by receipts of no further offsets.
        """
        hour = datetime.fromtimestamp(routed_at / 1_000_000, UTC).strftime("%Y-%m-%dT%H")
        records = []
        for (topic, number), ranges in self._ranges.items():
            key = f"{topic}/{number}".encode()
            for covered in ranges:
                matched = list(covered.matched.items())
                for at in range(0, max(1, len(matched)), _ENDPOINTS):
                    receipt = RoutingReceipt(
                        kind=covered.kind,
                        topic=topic,
                        partition=number,
                        first_offset=covered.next if at else covered.first,
                        next_offset=covered.next,
                        events=0 if at else covered.events,
                        matched={endpoint: {hour: count} for endpoint, count in matched[at : at + _ENDPOINTS]},
                        routed_at=routed_at,
                    )
                    records.append(Record(topics.ROUTING_RECEIPTS, _ENCODER.encode(receipt), key))
        return records

    def settle(self) -> None:
        """The transaction is committed: its offsets are behind us."""
        self._expected.update(self.offsets())
