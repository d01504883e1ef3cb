"""The answers to keyed publishes that are remembered: for the window, and of each client only so many."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was answered: where each event went. The events' ids are not kept, for they follow from the key.

    ``places`` has one (index into ``topics``, partition, offset) per event; ``received_at`` is in microseconds.
    """

    body_hash: bytes
    topics: tuple[str, ...]
    places: tuple[tuple[int, int, int], ...]
    received_at: int


class _Remembered(msgspec.Struct, frozen=True, gc=False):
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


class KnownAnswers:
    """Answers by digest, and the order in which they are forgotten. Has no lock: its owner sees to that.

    Args:
        window: seconds for which an answer is remembered.
        keys_per_client: remembered at most.
    """

    def __init__(self, window: float, keys_per_client: int) -> None:
        self._window = window
        self._keys_per_client = keys_per_client
        self._answers: dict[bytes, bytes] = {}
        self._clients: dict[str, _ClientKeys] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._answers

    @property
    def clients(self) -> list[str]:
        """Those of whom an answer is remembered."""
        return list(self._clients)

    def get(self, digest: bytes) -> Answer | None:
        """The answer under a digest."""
        found = self._answers.get(digest)
        return None if found is None else _ANSWER.decode(found)

    def add(self, client: str, partition: int, recorded_at: int, answers: Sequence[tuple[bytes, msgspec.Raw]]) -> None:
        """Remember the answers of one record, all of one client; the first answer under a digest stands.

        Args:
            client: its id.
            partition: of the record.
            recorded_at: milliseconds.
            answers: encoded, by digest.
        """
        added = [digest for digest, _ in answers if digest not in self._answers]
        self._answers.update((digest, bytes(answer)) for digest, answer in answers if digest not in self._answers)
        keys = self._clients.setdefault(client, _ClientKeys(0, {}))
        keys.partitions.setdefault(partition, deque()).append(_Remembered(recorded_at, added))
        keys.count += len(added)
        while keys.count > self._keys_per_client and keys.holds_several():
            self._forget_oldest(keys)

    def effective_window(self, now: float) -> float:
        """Seconds for which every client's keys are remembered: less than the window when one is at its bound."""
        shortest = float(self._window)
        for keys in self._clients.values():
            if keys.count >= self._keys_per_client:
                shortest = min(shortest, now - keys.oldest()[0].recorded_at / 1_000)
        return max(0.0, shortest)

    def forget(self, before: int) -> None:
        """Forget what is older (milliseconds)."""
        for client, keys in list(self._clients.items()):
            while keys.partitions and keys.oldest()[0].recorded_at < before:
                self._forget_oldest(keys)
            if not keys.partitions:
                del self._clients[client]

    def _forget_oldest(self, keys: _ClientKeys) -> None:
        records = keys.oldest()
        oldest = records.popleft()
        if not records:
            keys.partitions = {number: each for number, each in keys.partitions.items() if each}
        keys.count -= len(oldest.digests)
        for digest in oldest.digests:
            self._answers.pop(digest, None)


_ANSWER = msgspec.msgpack.Decoder(Answer)
