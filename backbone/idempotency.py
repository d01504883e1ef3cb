"""Repeats of a publish are recognised: what was answered under a key, for the window, on every worker.

An answer is a record on the compacted topic ``idempotency``, written after its events were acknowledged and before the
producer gets it. Every worker tails the topic; a key that its view does not hold is looked for once more after the
view was brought up to date, so a repeat that follows an answer always finds it, on whichever worker. Only keyed
requests pay.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import Record
from backbone.kafka.tail import TopicTail
from schemas import topics
from schemas.errors import CorruptRecord, IdempotencyMismatch, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from backbone.kafka.producer import Producer
    from backbone.kafka.records import Message
    from backbone.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_DIGEST_BYTES = 16

_MOST_WAIT = 4.0
"""Seconds to find out whether there was an answer: what was refused for want of one must not turn up much later."""

_ANSWERS_PER_RECORD = 2_000
"""Keeps a record far below Kafka's limit."""


class IdempotencyKey(msgspec.Struct, frozen=True):
    """What makes two publishes the same one: the client and its key. ``body_hash`` tells whether the body is too.

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


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What was answered: where each event went. The events' ids are not kept, for they follow from the key.

    ``places`` has one (index into ``topics``, partition, offset) per event; ``received_at`` is in microseconds.
    """

    body_hash: bytes
    topics: tuple[str, ...]
    places: tuple[tuple[int, int, int], ...]
    received_at: int


class _Answers(msgspec.Struct, frozen=True, array_like=True):
    """The value of a record: answers by digest, all of one client."""

    client: str
    answers: list[tuple[bytes, msgspec.Raw]]


class _Remembered(msgspec.Struct, frozen=True):
    """The digests of one record, so that they can be forgotten together."""

    recorded_at: int
    digests: list[bytes]


class _ClientKeys(msgspec.Struct):
    """What is remembered of one client: how many keys, and its records by partition, the oldest of each first.

    A process that starts reads one partition after the other: only in its own does a record stand behind older ones.
    """

    count: int
    partitions: dict[int, deque[_Remembered]]

    def oldest(self) -> deque[_Remembered]:
        """The records of the partition that has the oldest one in front; there is at least one."""
        return min(self.partitions.values(), key=lambda records: records[0].recorded_at)

    def holds_several(self) -> bool:
        """Whether there is more than one record."""
        return len(self.partitions) > 1 or any(len(records) > 1 for records in self.partitions.values())


def _is_older(key: IdempotencyKey, answer: Answer) -> bool:
    return any(answer.body_hash == body_hash for _, body_hash in key.older)


def _record_key(answers: Sequence[tuple[bytes, msgspec.Raw]]) -> bytes:
    """Only matters to compaction, which may drop an earlier answer to the very same keys, and to no other."""
    if len(answers) == 1:
        return answers[0][0]
    return hashlib.blake2b(b"".join(digest for digest, _ in answers), digest_size=_DIGEST_BYTES).digest()


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Answers)
_ANSWER = msgspec.msgpack.Decoder(Answer)


class IdempotencyLog:
    """The answers of the window, in memory, and the way to add to them.

    Args:
        settings: how to reach Kafka, the window, and how many keys of a client are remembered.
        producer: of this worker; started by its owner.
    """

    def __init__(self, settings: KafkaSettings, producer: Producer) -> None:
        self._producer = producer
        self._window = settings.idempotency_window
        self._keys_per_client = settings.idempotency_keys
        self._answers: dict[bytes, bytes] = {}
        self._clients: dict[str, _ClientKeys] = {}
        self._swept_at = 0
        self._changing = threading.Lock()
        self._busy: dict[bytes, asyncio.Future[None]] = {}
        self._tail = TopicTail(settings, [topics.IDEMPOTENCY], self._apply, name="idempotency")

    def start(self) -> None:
        """Begin to read; returns at once."""
        self._tail.start()

    def stop(self) -> None:
        """Stop reading."""
        self._tail.stop()

    @property
    def effective_window(self) -> float:
        """Seconds for which every client's keys are remembered: less than the window when one is at its bound."""
        shortest = float(self._window)
        with self._changing:
            for keys in self._clients.values():
                if keys.count >= self._keys_per_client:
                    shortest = min(shortest, time.time() - keys.oldest()[0].recorded_at / 1_000)
        return max(0.0, shortest)

    @asynccontextmanager
    async def claim(self, keys: Sequence[IdempotencyKey]) -> AsyncIterator[list[Answer | None]]:
        """The answer already given for each key, or None; no other request of this process works on them meanwhile.

        A request that comes while another holds one of its keys waits for it, and then finds its answer.

        Raises:
            IdempotencyMismatch: a key was used with another body.
            Unavailable: Kafka cannot say whether there was an answer.
        """
        digests = [key.digest for key in keys]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _MOST_WAIT
        done = await self._hold(digests, deadline)
        try:
            with self._changing:
                self._sweep(int(time.time() * 1_000))
            if not all(digest in self._answers for digest in digests):
                await self._tail.caught_up(max(0.0, deadline - loop.time()))
            yield self._find_all(keys, digests)
        finally:
            for digest in digests:
                self._busy.pop(digest, None)
            done.set_result(None)

    async def record(self, keys: Sequence[IdempotencyKey], answers: Sequence[Answer]) -> None:
        """Remember the answers to claimed keys, all of one client; returns when Kafka has them.

        Raises:
            Unavailable: it cannot be said whether a repeat will be recognised.
        """
        pairs = [(key.digest, msgspec.Raw(_ENCODER.encode(answer))) for key, answer in zip(keys, answers, strict=True)]
        records = [
            Record(topics.IDEMPOTENCY, _ENCODER.encode(_Answers(keys[0].client, part)), _record_key(part))
            for part in (pairs[at : at + _ANSWERS_PER_RECORD] for at in range(0, len(pairs), _ANSWERS_PER_RECORD))
        ]
        await self._producer.send(records)

    async def _hold(self, digests: Sequence[bytes], deadline: float) -> asyncio.Future[None]:
        """Wait until no other request has one of the keys, and take them all; others wait for the future then.

        Raises:
            Unavailable: another one has not finished by the deadline (the loop's time).
        """
        while True:
            holder = next((self._busy[digest] for digest in digests if digest in self._busy), None)
            if holder is None:
                break
            try:
                async with asyncio.timeout_at(deadline):
                    await asyncio.shield(holder)
            except TimeoutError as error:
                raise Unavailable("another request with this idempotency key is not done yet") from error
        # Taken together, with no await since the look: nobody holds one key and waits for another.
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._busy.update(dict.fromkeys(digests, done))
        return done

    def _find_all(self, keys: Sequence[IdempotencyKey], digests: Sequence[bytes]) -> list[Answer | None]:
        answers = [self._find(key, digest) for key, digest in zip(keys, digests, strict=True)]
        mismatched = [
            key.key
            for key, answer in zip(keys, answers, strict=True)
            if answer is not None and answer.body_hash != key.body_hash and not _is_older(key, answer)
        ]
        if mismatched:
            raise IdempotencyMismatch("This idempotency key was used with another body.", keys=mismatched)
        return answers

    def _find(self, key: IdempotencyKey, digest: bytes) -> Answer | None:
        """The answer under a key, whatever its body; else that of an older release to the very same publish."""
        found = self._answers.get(digest)
        if found is not None:
            return _ANSWER.decode(found)
        for older, body_hash in key.older:
            found = self._answers.get(older)
            if found is not None and (answer := _ANSWER.decode(found)).body_hash == body_hash:
                return answer
        return None

    def _apply(self, message: Message) -> None:
        value = message.value()
        if value is None:
            return
        try:
            client, answers = (decoded := _DECODER.decode(value)).client, decoded.answers
            for _, answer in answers:
                _ANSWER.decode(answer)
        except msgspec.DecodeError as error:
            raise CorruptRecord(f"not an idempotency record: {error}") from error
        recorded_at = message.timestamp()[1]
        with self._changing:
            # The first answer under a key stands; one that raced with it was given to nobody who can still ask.
            added = [digest for digest, _ in answers if digest not in self._answers]
            self._answers.update((digest, bytes(answer)) for digest, answer in answers if digest not in self._answers)
            keys = self._clients.setdefault(client, _ClientKeys(0, {}))
            keys.partitions.setdefault(message.partition() or 0, deque()).append(_Remembered(recorded_at, added))
            keys.count += len(added)
            while keys.count > self._keys_per_client and keys.holds_several():
                self._forget_oldest(keys)
            self._sweep(recorded_at)

    def _forget_oldest(self, keys: _ClientKeys) -> None:
        records = keys.oldest()
        oldest = records.popleft()
        if not records:
            keys.partitions = {number: each for number, each in keys.partitions.items() if each}
        keys.count -= len(oldest.digests)
        for digest in oldest.digests:
            self._answers.pop(digest, None)

    def _sweep(self, now: int) -> None:
        """Forget what is older than the window, of all clients, at most a hundred times a window."""
        if now - self._swept_at < self._window * 10:
            return
        self._swept_at = now
        for client, keys in list(self._clients.items()):
            while keys.partitions and keys.oldest()[0].recorded_at < now - self._window * 1_000:
                self._forget_oldest(keys)
            if not keys.partitions:
                del self._clients[client]
