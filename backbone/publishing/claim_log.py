"""Claims written to the topic ``idempotency``, and waited for until it is known who holds the keys."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

import msgspec

from backbone.kafka.records import Record
from backbone.process.process_identity import this_process
from backbone.publishing.claims import Claim, ClaimRecord, Held, HeldClaims
from schemas.model import topics
from schemas.model.errors import HeadraceError, InProgress, NotWritten

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from backbone.kafka.producer import Producer
    from backbone.kafka.records import Ack, Partition
    from backbone.kafka.tail import TopicTail
    from backbone.publishing.offset_waits import OffsetWait, OffsetWaits
    from backbone.slices import Slices

    Placed = tuple[Claim, tuple[Partition, ...]]
    """A claim, and its places by name."""

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_DIGEST_BYTES = 16

_LOOK_EVERY = 0.25
"""Seconds between two looks whether the claim of another worker is void."""

_PER_RECORD = 1_000
"""Answers or claims: a millisecond or two of work, and a record far below Kafka's limit."""

_ENCODER = msgspec.msgpack.Encoder()


class ClaimLog:
    """Writes claims and releases.

    Args:
        producer: of this worker.
        tail: reads the topic.
        waits: of the tail.
        held: who holds which key, as the tail knows.
        lease: seconds for which a claim holds its keys.
        slices: of the event loop, for very many claims.
    """

    def __init__(
        self, producer: Producer, tail: TopicTail, waits: OffsetWaits, *, held: HeldClaims, lease: float, slices: Slices
    ) -> None:
        self._producer = producer
        self._tail = tail
        self._waits = waits
        self._held = held
        self._lease = lease
        self._slices = slices
        self._owner = this_process()

    def is_ours(self, digest: bytes, claimed: int | None) -> bool:
        """Whether our claim at that offset holds the key."""
        holder = self._held.get(digest)
        return holder is not None and holder.offset == claimed

    async def write(self, client: str, claims: Sequence[Placed], deadline: float) -> dict[bytes, int]:
        """Write claims, and wait until the tail has passed them; returns their offsets by digest.

        Raises:
            NotWritten: not by the deadline (the loop's time); the claims are released.
        """
        count = await self._tail.partition_count(deadline - asyncio.get_running_loop().time())
        by_partition = defaultdict(list)
        for placed in claims:
            by_partition[partition_of(placed[0].digest, count)].append(placed)
        records = [(partition, part) for partition, of_it in by_partition.items() for part in parts(of_it)]
        wait = self._waits.wait(deadline)
        # For all of them before the first is sent: it may be passed before the last is.
        wait.expect(len(records))
        offsets: dict[bytes, int] = {}
        work = self._slices.begin()
        try:
            for partition, part in records:
                await work.pause()
                digests = [claim.digest for claim, _ in part]
                sent = self._send(partition, digests, _claiming(client, part, self._owner, self._lease))
                sent.add_done_callback(self._acknowledged(client, wait, partition, digests, offsets))
        except HeadraceError as error:
            wait.fail(error)
        try:
            await wait.future
        except HeadraceError:
            self.release(client, offsets)
            raise
        return offsets

    def release(self, client: str, offsets: Mapping[bytes, int]) -> None:
        """Give up claims, so that no repeat waits for their lease to end. Does not wait for Kafka."""
        count = self._tail.known_partitions
        by_partition = defaultdict(list)
        for digest, offset in offsets.items():
            by_partition[partition_of(digest, count)].append((digest, offset))
        try:
            for partition, of_partition in by_partition.items():
                for part in parts(of_partition):
                    record = ClaimRecord(client, released=tuple(part))
                    self._send(partition, [digest for digest, _ in part], record).add_done_callback(_retrieve)
        except HeadraceError as error:
            log.warning("claims of idempotency keys are left to run out: %s", error)

    async def changed(self, digests: Sequence[bytes], deadline: float) -> None:
        """Wait a moment for the outcome of other workers' claims.

        Raises:
            InProgress: the deadline (the loop's time) has passed.
        """
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise InProgress("another worker has a request with this idempotency key in progress")
        await self._waits.changed(digests, min(left, _LOOK_EVERY))

    def _send(self, partition: int, digests: Sequence[bytes], record: ClaimRecord) -> asyncio.Future[list[Ack]]:
        # Compaction must not drop an answer for a claim that came later: their keys differ.
        key = b"c" + record_key(digests)
        return self._producer.send(
            [Record(topics.IDEMPOTENCY, _ENCODER.encode(record), key, partition=partition)], final=True
        )

    def _acknowledged(
        self, client: str, wait: OffsetWait, partition: int, digests: Sequence[bytes], offsets: dict[bytes, int]
    ) -> Callable[[asyncio.Future[list[Ack]]], None]:
        def note(sent: asyncio.Future[list[Ack]]) -> None:
            error = None if sent.cancelled() else sent.exception()
            if sent.cancelled() or error is not None:
                wait.fail(NotWritten(f"the claim was not acknowledged: {error}"))
                return
            offset = sent.result()[0].offset
            of_these = dict.fromkeys(digests, offset)
            if wait.future.done():  # too late: nobody publishes under it
                self.release(client, of_these)
            else:
                offsets.update(of_these)
                self._waits.passed(wait, partition, offset)

        return note


def partition_of(digest: bytes, count: int) -> int:
    """The partition of a key's records: the one that librdkafka chose for older releases."""
    return zlib.crc32(digest) % count


def record_key(digests: Sequence[bytes]) -> bytes:
    """Only matters to compaction, which may drop an earlier record on the very same keys, and no other."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.blake2b(b"".join(digests), digest_size=_DIGEST_BYTES).digest()


def parts(entries: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """As many for each record as fit."""
    for at in range(0, len(entries), _PER_RECORD):
        yield entries[at : at + _PER_RECORD]


def new_claim(digest: bytes, body_hash: bytes, places: Collection[Partition], over: Held | None) -> Placed:
    """A claim. One that takes over another has that one's places too."""
    if over is None:
        return Claim(digest, body_hash, ()), tuple(places)
    together = tuple(dict.fromkeys((*over.places, *places)))
    return Claim(digest, body_hash, (), since=over.since, over=over.offset), together


def _claiming(client: str, claims: Sequence[Placed], owner: str, lease: float) -> ClaimRecord:
    names: dict[str, int] = {}
    placed = [
        msgspec.structs.replace(
            claim, places=tuple((names.setdefault(topic, len(names)), number) for topic, number in places)
        )
        for claim, places in claims
    ]
    return ClaimRecord(client, claims=tuple(placed), owner=owner, lease=lease, topics=tuple(names))


def _retrieve(sent: asyncio.Future[list[Ack]]) -> None:
    if not sent.cancelled():
        sent.exception()
