"""Repeats of a publish are recognised: one key, one publish, for the window, on every worker.

Before its events are produced, a claim on the key is acknowledged on the topic ``idempotency``; after they were
acknowledged, and before the producer gets it, the answer. Every worker tails the topic. A worker waits until its tail
has passed its own claim: then it knows every answer and claim before that, and of several claims the first holds the
key. A repeat waits for the holder's answer. A claim whose worker has died, or whose lease has ended, is taken over: its
events are looked for first. Only keyed requests pay.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import Record
from backbone.kafka.tail import TopicTail
from backbone.publishing.claim_log import ClaimLog, new_claim, partition_of, parts, record_key
from backbone.publishing.claims import ClaimRecord, Held, HeldClaims
from backbone.publishing.known_answers import Answer, KnownAnswers
from backbone.publishing.offset_waits import OffsetWaits
from backbone.slices import Slices
from schemas.model import topics
from schemas.model.errors import (
    CorruptRecord,
    IdempotencyMismatch,
    InProgress,
    NotAcknowledged,
    NotWritten,
    QueueFull,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence

    from backbone.kafka.producer import Producer
    from backbone.kafka.records import ConsumedRecord, Partition
    from backbone.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_DIGEST_BYTES = 16

_MOST_WAIT = 4.0
"""Seconds to get a claim: what was refused for want of one must not turn up later."""

_LEAST_MARGIN = 10.0
"""Seconds that a lease outlasts the delivery timeout at least; a quarter of that timeout if it is more."""

_CERTAIN = (QueueFull, NotWritten, InProgress, IdempotencyMismatch)
"""Errors after which nothing has been written, and the key is free."""


class IdempotencyKey(msgspec.Struct, frozen=True, gc=False):
    """What makes two publishes the same one: the client and its key. ``body_hash`` tells whether the body is too.

    ``client`` is its ``Client.unique_id``: clients of two workspaces may share an id, and one that is made again has
    the former's.

    ``older`` has the digests and body hashes under which older releases recorded the same publish: an answer is taken
    only where both are equal, and has that older body hash.
    """

    client: str
    key: str
    body_hash: bytes
    older: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def digest(self) -> bytes:
        """What stands for client and key in the log."""
        return hashlib.blake2b(f"{self.client}\0{self.key}".encode(), digest_size=_DIGEST_BYTES).digest()


class _Answers(msgspec.Struct, frozen=True, array_like=True):
    """The value of a record: answers by digest, all of one client."""

    client: str
    answers: list[tuple[bytes, msgspec.Raw]]


class Claimed(msgspec.Struct, frozen=True):
    """The result of a claim: the answers already given, and by index the void claims that it took over.

    The events of these must be looked for in ``Held.places`` before anything is written, for at most ``seconds``.
    """

    answers: list[Answer | None]
    taken_over: dict[int, Held]
    seconds: float


def _refuse(mismatched: Sequence[str]) -> None:
    if mismatched:
        raise IdempotencyMismatch("This idempotency key was used with another body.", keys=mismatched)


def _is_older(key: IdempotencyKey, answer: Answer) -> bool:
    return any(answer.body_hash == body_hash for _, body_hash in key.older)


def _matching(keys: Sequence[IdempotencyKey], answers: list[Answer | None]) -> list[Answer | None]:
    """The answers, once it is known that they are to these bodies."""
    mismatched = [
        key.key
        for key, answer in zip(keys, answers, strict=True)
        if answer is not None and answer.body_hash != key.body_hash and not _is_older(key, answer)
    ]
    _refuse(mismatched)
    return answers


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Answers)
_CLAIMS = msgspec.msgpack.Decoder(ClaimRecord)
_ANSWER = msgspec.msgpack.Decoder(Answer)


class IdempotencyLog:
    """The answers of the window, in memory, and the way to add to them.

    Args:
        settings: how to reach Kafka, the window, and how many keys of a client are remembered.
        producer: of this worker; started by its owner.
        on_stall: see ``BatchConsumer``; for counting.
        slices: of the event loop, for requests with very many keys.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        producer: Producer,
        on_stall: Callable[[], None] | None = None,
        *,
        slices: Slices | None = None,
    ) -> None:
        self.settings = settings
        self._slices = slices or Slices()
        self._producer = producer
        self._window = settings.idempotency_window
        margin = max(_LEAST_MARGIN, settings.delivery_timeout / 4)
        lease = settings.delivery_timeout + margin
        self._search = margin - _MOST_WAIT
        self._answers = KnownAnswers(self._window, settings.idempotency_keys)
        self._held = HeldClaims()
        self._swept_at = 0
        self._probed = 0
        self._changing = threading.Lock()
        self._busy: dict[bytes, asyncio.Future[None]] = {}
        self._tail = TopicTail(
            settings,
            [topics.IDEMPOTENCY],
            self._apply,
            name="idempotency",
            on_advance=self._advanced,
            on_stall=on_stall,
        )
        self._waits = OffsetWaits(lambda partition, offset: self._tail.passed(topics.IDEMPOTENCY, partition, offset))
        self._claims = ClaimLog(producer, self._tail, self._waits, held=self._held, lease=lease, slices=self._slices)

    def start(self) -> None:
        """Begin to read; returns at once."""
        self._tail.start()

    def stop(self) -> None:
        """Stop reading."""
        self._tail.stop()

    async def probe(self) -> None:
        """Write a record that says nothing, to see whether Kafka acknowledges one.

        Raises:
            NotAcknowledged: it does not.
        """
        count = await self._tail.partition_count(_MOST_WAIT)
        partition = self._probed = (self._probed + 1) % count
        value = _ENCODER.encode(ClaimRecord(""))
        await self._producer.send([Record(topics.IDEMPOTENCY, value, b"probe", partition=partition)])

    async def caught_up(self, keys: Sequence[IdempotencyKey] | None = None, timeout: float = _MOST_WAIT) -> None:  # noqa: ASYNC109  # the tail's
        """Know all that was answered before this call, to these keys or to all.

        Raises:
            Unavailable: not within ``timeout`` seconds.
        """
        if keys is None:
            await self._tail.caught_up(timeout)
        else:
            count = await self._tail.partition_count(timeout)
            wanted = {(topics.IDEMPOTENCY, partition_of(key.digest, count)) for key in keys}
            await self._tail.caught_up_on(wanted, timeout)

    @property
    def effective_window(self) -> float:
        """Seconds for which every client's keys are remembered: less than the window when one is at its bound."""
        with self._changing:
            return self._answers.effective_window(time.time())

    def answered(self, keys: Sequence[IdempotencyKey]) -> list[Answer | None]:
        """The answers that are known of here without asking Kafka.

        Raises:
            IdempotencyMismatch: a key was used with another body.
        """
        with self._changing:
            self._sweep(int(time.time() * 1_000))
        return _matching(keys, [self._find(key, key.digest) for key in keys])

    async def answered_all(self, keys: Sequence[IdempotencyKey]) -> list[Answer | None]:
        """``answered`` for the keys of a batch, in slices.

        Raises:
            IdempotencyMismatch: as ``answered`` does.
        """
        with self._changing:
            self._sweep(int(time.time() * 1_000))
        return await self._find_all(keys, await self._digests(keys))

    @asynccontextmanager
    async def claim(
        self, keys: Sequence[IdempotencyKey], places: Sequence[Collection[Partition]]
    ) -> AsyncIterator[Claimed]:
        """Hold keys, all of one client, while their events are published.

        A body that raises an error after which nothing can have been written releases them. After any other they stay
        held until the lease ends. ``places`` has, for each key, the partitions that its events go to.

        Raises:
            IdempotencyMismatch: a key was used with another body.
            InProgress: another request holds a key and has no outcome yet.
            Unavailable: Kafka does not acknowledge the claim.
        """
        digests = await self._digests(keys)
        deadline = asyncio.get_running_loop().time() + _MOST_WAIT
        done = await self._hold(digests, deadline)
        offsets: dict[bytes, int] = {}
        try:
            taken_over = await self._acquire(keys, places, offsets, deadline)
            yield Claimed(await self._find_all(keys, digests), taken_over, self._search)
        except _CERTAIN:
            self._claims.release(keys[0].client, offsets)
            raise
        finally:
            for digest in digests:
                self._busy.pop(digest, None)
            done.set_result(None)

    async def record(self, keys: Sequence[IdempotencyKey], answers: Sequence[Answer]) -> None:
        """Remember the answers to claimed keys, all of one client; returns when Kafka has them.

        Raises:
            NotAcknowledged: the claims stay held until their lease ends.
        """
        count = await self._tail.partition_count(_MOST_WAIT)
        pairs = defaultdict(list)
        work = self._slices.begin()
        for key, answer in zip(keys, answers, strict=True):
            await work.pause()
            pairs[partition_of(key.digest, count)].append((key.digest, msgspec.Raw(_ENCODER.encode(answer))))
        records = [
            Record(
                topics.IDEMPOTENCY,
                _ENCODER.encode(_Answers(keys[0].client, list(part))),
                record_key([digest for digest, _ in part]),
                partition=partition,
            )
            for partition, answered in pairs.items()
            for part in parts(answered)
        ]
        try:
            await self._producer.send(records, final=True)
        except Unavailable as error:
            # The events are written, though the queue may be too full for their answer.
            raise NotAcknowledged(f"the answer is not recorded: {error}") from error

    async def _acquire(
        self,
        keys: Sequence[IdempotencyKey],
        places: Sequence[Collection[Partition]],
        offsets: dict[bytes, int],
        deadline: float,
    ) -> dict[int, Held]:
        """Get each key's answer or hold the key; ``offsets`` gets the claims. Returns what was taken over, by index."""
        digests = [key.digest for key in keys]
        taken_over: dict[int, Held] = {}
        work = self._slices.begin()
        while True:
            known = await self._find_all(keys, digests)
            left = [
                (index, digest)
                for index, digest in enumerate(digests)
                if known[index] is None and not self._claims.is_ours(digest, offsets.get(digest))
            ]
            if not left:
                return {index: held for index, held in taken_over.items() if known[index] is None}
            holders = {index: holder for index, digest in left if (holder := self._held.get(digest)) is not None}
            _refuse([keys[index].key for index, held in holders.items() if held.body_hash != keys[index].body_hash])
            if awaited := [digests[index] for index, held in holders.items() if not held.is_void]:
                await self._claims.changed(awaited, deadline)
                continue
            claims = []
            for index, digest in left:
                await work.pause()
                claims.append(new_claim(digest, keys[index].body_hash, places[index], holders.get(index)))
            offsets.update(await self._claims.write(keys[0].client, claims, deadline))
            taken_over |= holders

    async def _hold(self, digests: Sequence[bytes], deadline: float) -> asyncio.Future[None]:
        """Wait until no other request of this process has one of the keys, and take them all.

        Raises:
            InProgress: another one has not finished by the deadline (the loop's time).
        """
        while True:
            holder = next((self._busy[digest] for digest in digests if digest in self._busy), None)
            if holder is None:
                break
            try:
                async with asyncio.timeout_at(deadline):
                    await asyncio.shield(holder)
            except TimeoutError as error:
                raise InProgress("another request with this idempotency key is in progress") from error
        # Taken together, with no await since the look: nobody holds one key and waits for another.
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._busy.update(dict.fromkeys(digests, done))
        return done

    async def _digests(self, keys: Sequence[IdempotencyKey]) -> list[bytes]:
        work = self._slices.begin()
        digests = []
        for key in keys:
            await work.pause()
            digests.append(key.digest)
        return digests

    async def _find_all(self, keys: Sequence[IdempotencyKey], digests: Sequence[bytes]) -> list[Answer | None]:
        work = self._slices.begin()
        answers = []
        for key, digest in zip(keys, digests, strict=True):
            await work.pause()
            answers.append(self._find(key, digest))
        return _matching(keys, answers)

    def _find(self, key: IdempotencyKey, digest: bytes) -> Answer | None:
        """The answer under a key, whatever its body; else that of an older release to the very same publish."""
        found = self._answers.get(digest)
        if found is not None:
            return found
        for older, body_hash in key.older:
            found = self._answers.get(older)
            if found is not None and found.body_hash == body_hash:
                return found
        return None

    def _apply(self, message: ConsumedRecord) -> None:
        value = message.value()
        if value is None:
            return
        try:
            client, answers = (decoded := _DECODER.decode(value)).client, decoded.answers
            if not answers:
                self._apply_claims(message, _CLAIMS.decode(value))
                return
            for _, answer in answers:
                _ANSWER.decode(answer)
        except (msgspec.DecodeError, IndexError) as error:
            raise CorruptRecord(f"not an idempotency record: {error}") from error
        recorded_at = message.timestamp()[1]
        with self._changing:
            self._answers.add(client, message.partition(), recorded_at, answers)
            self._held.answered(digest for digest, _ in answers)
            self._sweep(recorded_at)
        self._waits.note([digest for digest, _ in answers])

    def _apply_claims(self, message: ConsumedRecord, record: ClaimRecord) -> None:
        with self._changing:
            open_claims = [claim for claim in record.claims if claim.digest not in self._answers]
            unanswered = msgspec.structs.replace(record, claims=tuple(open_claims))
            self._held.apply(unanswered, message.offset(), message.timestamp()[1])
        self._waits.note([digest for digest, _ in record.released])

    def _advanced(self) -> None:
        """Called on the tail's thread after a batch was applied."""
        self._waits.advance()

    def _sweep(self, now: int) -> None:
        """Forget what is older than the window, of all clients, at most a hundred times a window."""
        if now - self._swept_at < self._window * 10:
            return
        self._swept_at = now
        self._answers.forget(now - self._window * 1_000)
        self._held.forget(now - self._window * 1_000)
