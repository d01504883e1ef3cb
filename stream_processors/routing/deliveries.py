"""The records that the router writes: deliveries of an event, and receipts that account for every offset."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.projections import current_version
from backbone.kafka.records import Record, dead_letter, headers_of
from schemas.model import topics
from schemas.model.channels import delivery_channel
from schemas.model.contract_call import received_request
from schemas.model.delivery import (
    Contract,
    Delivery,
    GroupedDelivery,
    ReceiptKind,
    RoutingReceipt,
    SourceOffset,
    event_headers,
)
from schemas.model.endpoint import EndpointType
from schemas.model.event_headers import EVENT_ID
from schemas.model.ids import contract_delivery_id, delivery_id
from stream_processors.routing.record_view import RecordView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import ConsumedRecord, Partition
    from schemas.model.delivery import Headers
    from stream_processors.routing.matching import Match
    from stream_processors.routing.record_view import Decoding

_ENCODER = msgspec.json.Encoder()
_ENDPOINTS = 5_000
"""Most endpoints in one receipt, of about 60 bytes each: a record over Kafka's limit would stop the router."""

_TOPICS = {
    EndpointType.WEB_HOOK: topics.WEBHOOK_DELIVERIES,
    EndpointType.WEB_SOCKET: topics.WEBSOCKET_DELIVERIES,
    EndpointType.FILE: topics.FILE_DELIVERIES,
}


def event_id(message: ConsumedRecord, decoding: Decoding) -> str:
    """The gateway's id of an event; records of earlier releases and of other producers have it only in their values.

    Raises:
        CorruptRecord: the header is missing, and the value cannot be read.
    """
    for name, found in headers_of(message):
        if name == EVENT_ID and found:
            return found.decode(errors="replace")
    return decoding.decode(message.value() or b"").event_id


def wanted(message: ConsumedRecord, matches: Sequence[Match]) -> Sequence[Match]:
    """The matches that an event is for. An event that runs one contract again is for that contract only."""
    if all(match.order is None for match in matches):
        return matches
    request = received_request(headers_of(message))
    if request is None or request.contract is None:
        return matches
    return [match for match in matches if match.subscriptions == (request.contract,)]


def projected(matches: Sequence[Match], topic: str, view: CatalogView) -> Sequence[Match]:
    """The matches with the versions of the projections that their endpoints have for the event's type."""
    if not view.count_of("projections", matches[0].endpoint.workspace):
        return matches
    return [
        match if match.order is not None else match._replace(projection=current_version(view, match.endpoint, topic))
        for match in matches
    ]


def delivery_records(
    message: ConsumedRecord, event: str, matches: Sequence[Match], *, routed_at: int, decoding: Decoding
) -> list[Record]:
    """A record for each endpoint, and one for all contracts together; see ``delivery_record``.

    Headers of the event that have the name of a delivery header are left out, so that a producer cannot forge where an
    event goes or when it is due.
    """
    own = event_headers(headers_of(message))
    view = RecordView(message, message.value() or b"", decoding)
    records = []
    grouped: list[Match] = []
    for match in matches:
        if match.failure is not None:
            records.append(failed_record(message, own, event, match, routed_at=routed_at))
        elif is_grouped(match):
            grouped.append(match)
        else:
            records.append(delivery_record(message, own, event, match, routed_at=routed_at, view=view))
    if grouped:
        records.append(grouped_record(message, own, event, grouped, routed_at=routed_at))
    return records


def split_held(matches: Sequence[Match]) -> tuple[Sequence[Match], Sequence[Match]]:
    """The matches that become deliveries, and those of endpoints that their owners paused."""
    held = [match for match in matches if match.endpoint.held_since is not None and match.order is None]
    return ([match for match in matches if match not in held], held) if held else (matches, ())


def is_grouped(match: Match) -> bool:
    """Whether the match goes into the one record for all contracts of an event."""
    return match.order is not None and match.failure is None and match.endpoint.type is EndpointType.WEB_HOOK


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
        match: the endpoint, which decides the topic, and the subscriptions.
        routed_at: microseconds since the epoch.
        view: the event, for an endpoint with a channel template.

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
        projection=match.projection,
    )


def failed_record(
    message: ConsumedRecord, own: Headers, event: str, match: Match, *, routed_at: int, whole: bool = True
) -> Record:
    """The delivery on ``dead-letters``, without an attempt; with the event's value if ``whole``."""
    delivery = _delivery(message, event, match, routed_at)
    if match.order is not None:
        delivery = msgspec.structs.replace(delivery, id=contract_delivery_id(event, match.subscriptions[0]))
    letter = dead_letter(message, reason=match.failure or "", kind="delivery", key=delivery.record_key)
    about = [header for header in letter.headers or () if header[0].startswith("hr_dead_")]
    headers = own + delivery.to_headers() + about
    return msgspec.structs.replace(letter, value=letter.value if whole else None, headers=headers)


def grouped_record(
    message: ConsumedRecord, own: Headers, event: str, matches: Sequence[Match], *, routed_at: int
) -> Record:
    """The event for all its ordered webhook subscriptions; keyed by the event, because it has several endpoints."""
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

    __slots__ = ("events", "first", "held", "is_separate", "kind", "matched", "next")

    def __init__(self, kind: ReceiptKind, first: int, end: int) -> None:
        self.kind = kind
        self.first = first
        self.next = end
        self.events = 0
        self.matched: Counter[str] = Counter()
        self.held: dict[str, tuple[int, int]] = {}
        self.is_separate = False


class Tally:
    """The offsets that one transaction accounts for, and their receipts.

    Args:
        expected: for every partition, the first offset that no committed receipt covers. The transactions of one
            generation share it; ``settle`` advances it after a commit.
    """

    def __init__(self, expected: dict[Partition, int]) -> None:
        self._expected = expected
        self._ranges: dict[Partition, list[_Range]] = {}
        self.skipped = 0
        self.marks: dict[Partition, str] = {}
        """For a divided event at the next offset of a partition: the last delivery that is written."""

    def add(self, partition: Partition, offset: int) -> bool:
        """Account for one event; return False if its offset is committed and must not be routed again."""
        ranges = self._ranges.get(partition)
        expected = ranges[-1].next if ranges else self._expected.get(partition, offset)
        if offset < expected:
            return False
        if ranges is None:
            ranges = self._ranges[partition] = []
        if offset > expected:
            # Because of compaction, retention, an aborted transaction, or a time without subscriptions.
            ranges.append(_Range(ReceiptKind.SKIPPED, expected, offset))
            self.skipped += offset - expected
        if not ranges or ranges[-1].kind is ReceiptKind.SKIPPED or ranges[-1].is_separate:
            ranges.append(_Range(ReceiptKind.ROUTED, offset, offset))
        last = ranges[-1]
        last.next = offset + 1
        last.events += 1
        return True

    def take_back(self, partition: Partition) -> None:
        """Do not account for the event that was added last: nothing of it is written yet."""
        ranges = self._ranges[partition]
        last = ranges[-1]
        last.next -= 1
        last.events -= 1
        if not last.events:
            ranges.pop()
        if not ranges:
            del self._ranges[partition]

    def separate(self, partition: Partition) -> None:
        """Give the last added event a separate receipt. Call this before ``matched``.

        It is divided, or was matched by an earlier catalog than those around it: of a receipt that kept something back
        for an endpoint, a backfill sends every event.
        """
        ranges = self._ranges[partition]
        last = ranges[-1]
        last.next -= 1
        last.events -= 1
        if not last.events:
            ranges.pop()
        own = _Range(ReceiptKind.ROUTED, last.next, last.next + 1)
        own.events = 1
        own.is_separate = True
        ranges.append(own)

    def leave(self, partition: Partition, mark: str) -> None:
        """Leave the last separated event unfinished: its deliveries count, and its offset stays the next one.

        Args:
            partition: of the event.
            mark: the last delivery that is written.
        """
        last = self._ranges[partition][-1]
        last.next, last.events = last.first, 0
        self.marks[partition] = mark

    def matched(self, partition: Partition, endpoint: str) -> None:
        """Count one delivery of the last added event."""
        self._ranges[partition][-1].matched[endpoint] += 1

    def hold(self, partition: Partition, matches: Sequence[Match]) -> None:
        """Count matches of the last added event whose endpoints are paused by their owners: no deliveries follow."""
        last = self._ranges[partition][-1]
        for match in matches:
            endpoint = match.endpoint
            last.matched[endpoint.id] += 1
            _, count = last.held.get(endpoint.id, (0, 0))
            last.held[endpoint.id] = (endpoint.held_since or 0, count + 1)

    @property
    def events(self) -> int:
        """Events accounted for."""
        return sum(covered.events for ranges in self._ranges.values() for covered in ranges)

    def offsets(self) -> dict[Partition, int]:
        """The offsets to commit: the next one of every partition."""
        return {partition: ranges[-1].next for partition, ranges in self._ranges.items()}

    def receipts(self, routed_at: int) -> list[Record]:
        """One record on ``routing-receipts`` per range; ``routed_at`` in microseconds since the epoch.

        If a range has more endpoints than one record can name, further receipts name them, without offsets. The
        deliveries of an unfinished event also have a receipt without offsets.
        """
        hour = datetime.fromtimestamp(routed_at / 1_000_000, UTC).strftime("%Y-%m-%dT%H")
        records = []
        for (topic, number), ranges in self._ranges.items():
            key = f"{topic}/{number}".encode()
            for covered in ranges:
                # The first receipt alone has the offsets, which a backfill goes by.
                matched = sorted(covered.matched.items(), key=lambda item: item[0] not in covered.held)
                for at in range(0, max(1, len(matched)), _ENDPOINTS):
                    receipt = RoutingReceipt(
                        kind=covered.kind,
                        topic=topic,
                        partition=number,
                        first_offset=covered.next if at else covered.first,
                        next_offset=covered.next,
                        events=0 if at else covered.events,
                        matched={endpoint: {hour: count} for endpoint, count in matched[at : at + _ENDPOINTS]},
                        held={} if at else covered.held,
                        routed_at=routed_at,
                    )
                    records.append(Record(topics.ROUTING_RECEIPTS, _ENCODER.encode(receipt), key))
        return records

    def settle(self) -> None:
        """Advance the expected offsets, after the commit."""
        self._expected.update(self.offsets())
