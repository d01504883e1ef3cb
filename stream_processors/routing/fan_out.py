"""One event for many endpoints: its deliveries are written in parts, each in a separate transaction.

Consumers see a transaction's records only when all of it is written, and until then nothing else is routed. So an event
of a megabyte for a hundred endpoints is divided. Its deliveries are ordered by their endpoints' ids. The transaction of
a part commits the event's own offset as the next one, together with a *mark*: the last delivery of the part. The router
that reads from there, this one or another, continues after the mark. No delivery can appear before the mark later: a
subscription that was made meanwhile does not match the event, because the event's append time is earlier.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import headers_of
from schemas.model.delivery import event_headers
from stream_processors.routing.deliveries import delivery_record, event_id, failed_record, grouped_record, is_grouped
from stream_processors.routing.record_view import RecordView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.kafka.records import ConsumedRecord, Record
    from stream_processors.routing.matching import Match
    from stream_processors.routing.open_transaction import OpenTransaction
    from stream_processors.routing.record_view import Decoding

    Place = tuple[str, str]

FAN_OUT_BYTES = 128 * 1024 * 1024
"""Most bytes of all deliveries of one event: Kafka stores each of them, and a tenant pays for one event."""

TOO_WIDE = (
    "The event is too large for so many endpoints: its deliveries together would be over the limit of "
    f"{FAN_OUT_BYTES // 1024 // 1024} MiB."
)

_MARKS = msgspec.json.Decoder(tuple[str, str])


class FanOut:
    """The deliveries of one event that are not written yet.

    Args:
        message: the event as consumed.
        matches: the endpoints that get it.
        decoding: for channel templates that look at the event.
        mark: the last delivery that is written; None begins with the first.
        held: matches that get no delivery now, for the receipt of the event's offset.

    Raises:
        CorruptRecord: the event cannot be read.
    """

    def __init__(
        self,
        message: ConsumedRecord,
        matches: Sequence[Match],
        decoding: Decoding,
        mark: str | None = None,
        held: Sequence[Match] = (),
    ) -> None:
        self.held = held
        self._message = message
        value = message.value() or b""
        self._event = event_id(message, decoding)
        self._own = event_headers(headers_of(message))
        self._view = RecordView(message, value, decoding)
        self._grouped = [match for match in matches if is_grouped(match)]
        single = sorted((match for match in matches if not is_grouped(match)), key=_place)
        room = max(0, FAN_OUT_BYTES // max(1, len(value)) - bool(self._grouped))
        self._whole = len(single) <= room
        self._single = single[:room] + [match._replace(failure=TOO_WIDE) for match in single[room:]]
        self._next = bisect_right(single, _place_of(mark), key=_place) if mark else 0

    def part(self, into: OpenTransaction) -> tuple[list[Record], list[Match]]:
        """The next records, at least one, until the transaction is full; and their matches.

        Raises:
            CorruptRecord: the event cannot be read.
        """
        records: list[Record] = []
        matches: list[Match] = []
        size = len(self._message.value() or b"")
        while self._next < len(self._single) and not (records and into.is_full()):
            match = self._single[self._next]
            records.append(self._record(match, into.routed_at))
            matches.append(match)
            into.use(size)
            self._next += 1
        if self._grouped and self._next == len(self._single) and not (records and into.is_full()):
            grouped, self._grouped = self._grouped, []
            records.append(grouped_record(self._message, self._own, self._event, grouped, routed_at=into.routed_at))
            matches += grouped
            into.use(size)
        return records, matches

    def _record(self, match: Match, routed_at: int) -> Record:
        message, own, event = self._message, self._own, self._event
        if match.failure is not None:
            return failed_record(message, own, event, match, routed_at=routed_at, whole=self._whole)
        return delivery_record(message, own, event, match, routed_at=routed_at, view=self._view)

    @property
    def is_done(self) -> bool:
        """Whether all deliveries were taken."""
        return self._next == len(self._single) and not self._grouped

    @property
    def mark(self) -> str:
        """The last delivery that was taken; the others follow it, contracts in one record at the end."""
        return msgspec.json.encode(_place(self._single[self._next - 1])).decode()


def _place(match: Match) -> Place:
    """The sort key of a delivery; an endpoint has one delivery of an event, or one for each contract."""
    return match.endpoint.id, "" if match.order is None else match.subscriptions[0]


def _place_of(mark: str) -> Place:
    try:
        return _MARKS.decode(mark)
    except msgspec.DecodeError:
        # Not a mark of a router: the group's offset was moved by another tool.
        return ("", "")
