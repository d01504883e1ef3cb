"""Finds events whose outcome is open: those of a worker that died, or gave up, between writing and answering."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.read_to_end import read_to
from backbone.kafka.records import headers_of, place_of
from schemas.model.errors import NotWritten, Unavailable
from schemas.model.event_headers import EVENT_ID

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from backbone.kafka.records import ConsumedRecord, Partition
    from backbone.kafka.settings import KafkaSettings

_SKEW_MS = 60_000
"""The clocks of two brokers may differ by as much: the claim has the time of one, its events that of another."""

_SETTLE = 1.5
"""Seconds between the two reads: what a dead worker's broker had received, it has appended by then."""

_BATCH = 1_000
_WAIT = 0.2

_FRAME = 5
"""Bytes before the Avro record, whose first field is the id in records of earlier releases."""


class Landed(NamedTuple):
    """Where an event is, and when it was appended, in microseconds."""

    topic: str
    partition: int
    offset: int
    appended_at: int


async def find_landed(
    settings: KafkaSettings, ids: Collection[str], places: Iterable[Partition], since: int, seconds: float
) -> dict[str, Landed]:
    """The events of these ids in these partitions, appended at or after ``since`` (milliseconds).

    The partitions are read to their ends, and once more to their ends of a moment later.

    Raises:
        NotWritten: that takes more than ``seconds``, or Kafka does not answer.
    """
    stopping = threading.Event()
    search = _Search(settings, {each.encode() for each in ids}, tuple(places), since, time.monotonic() + seconds)
    try:
        return await asyncio.to_thread(search.run, stopping)
    except NotWritten:
        raise
    except Unavailable as error:
        # Whatever hindered the search: its claim is released, and the next repeat need not wait for the lease to end.
        raise NotWritten(f"an earlier try of this publish could not be looked for: {error}") from error
    finally:
        stopping.set()


class _Search:
    def __init__(
        self, settings: KafkaSettings, ids: set[bytes], places: tuple[Partition, ...], since: int, deadline: float
    ) -> None:
        self._settings = settings
        self._ids = ids
        self._places = places
        self._since = since
        self._deadline = deadline
        self._found: dict[str, Landed] = {}

    def run(self, stopping: threading.Event) -> dict[str, Landed]:
        if not self._places:
            return {}
        consumer = BatchConsumer(self._settings, group=None)
        try:
            times = dict.fromkeys(self._places, max(0, self._since - _SKEW_MS))
            starts = consumer.offsets_for_times(times, self._left())
            ends = consumer.end_offsets(self._places, self._left())
            passed = {place: ends[place] if start is None else start for place, start in starts.items()}
            consumer.assign(passed)
            self._read(consumer, passed, ends, stopping)
            if len(self._found) < len(self._ids) and not stopping.wait(_SETTLE):
                self._read(consumer, passed, consumer.end_offsets(self._places, self._left()), stopping)
        finally:
            consumer.close()
        return self._found

    def _read(
        self,
        consumer: BatchConsumer,
        passed: dict[Partition, int],
        ends: dict[Partition, int],
        stopping: threading.Event,
    ) -> None:
        if len(self._found) == len(self._ids):
            return

        def check() -> None:
            if stopping.is_set():
                raise NotWritten("nobody waits for this search any more")
            self._left()

        for record in read_to(consumer, ends, passed, check=check, batch=_BATCH, wait=_WAIT):
            self._look_at(record)
            if len(self._found) == len(self._ids):
                return

    def _look_at(self, message: ConsumedRecord) -> None:
        event_id = event_id_of(message)
        if event_id in self._ids:
            landed = Landed(*place_of(message), message.offset(), message.timestamp()[1] * 1_000)
            self._found.setdefault(event_id.decode(), landed)

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise NotWritten("an earlier try of this publish could not be looked for in time")
        return left


def event_id_of(message: ConsumedRecord) -> bytes:
    """The gateway's id of an event: its header's, or else the record's first field."""
    for name, content in headers_of(message):
        if name == EVENT_ID:
            return content or b""
    value = message.value() or b""
    # Of up to 63 characters, an Avro string has one byte of length, doubled: an id of ours has 36.
    length = value[_FRAME] // 2 if len(value) > _FRAME else 0
    return value[_FRAME + 1 : _FRAME + 1 + length]
