"""Claims: who is publishing under an idempotency key now, as the topic ``idempotency`` says.

A claim is acknowledged before its events are produced. The first claim of a key in the log holds the key, on every
worker alike, until an answer or a release follows. A claim that names the holder's offset in ``over`` takes the key
over: its worker has made sure that the holder sends nothing any more.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import Partition  # msgspec reads it
from backbone.process.process_identity import has_ended

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENDED = -86_400.0
"""A lease that has ended on any clock."""


class Claim(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The wish to publish under a key, as written.

    ``places`` are the partitions that its events go to, as (index into the record's topics, partition). ``since`` is
    the time (milliseconds) from which they may be there, 0 for the append time; ``over`` is the offset of the claim
    that it takes over, -1 for none.
    """

    digest: bytes
    body_hash: bytes
    places: tuple[tuple[int, int], ...]
    since: int = 0
    over: int = -1


class ClaimRecord(msgspec.Struct, frozen=True, array_like=True):
    """The value of a record with claims or releases. Older releases read the first two fields, and find nothing.

    ``released`` are digests with the offsets of their claims; ``lease`` is in seconds.
    """

    client: str
    answers: tuple[()] = ()
    claims: tuple[Claim, ...] = ()
    released: tuple[tuple[bytes, int], ...] = ()
    owner: str = ""
    lease: float = 0.0
    topics: tuple[str, ...] = ()


class Held(msgspec.Struct, frozen=True, gc=False):
    """A claim that holds its key. ``at`` is its append time and ``since`` as in ``Claim``, in milliseconds."""

    offset: int
    at: int
    lease: float
    owner: str
    body_hash: bytes
    places: tuple[Partition, ...]
    since: int
    took_over: bool

    @property
    def is_void(self) -> bool:
        """Whether its worker sends nothing under it any more: the worker has ended, or the lease has."""
        return time.time() - self.at / 1_000 > self.lease or has_ended(self.owner)


class HeldClaims:
    """The keys that are held, as of what was read of the topic. Read by the loop, changed by the tail's thread."""

    def __init__(self) -> None:
        self._held: dict[bytes, Held] = {}

    def get(self, digest: bytes) -> Held | None:
        """Who holds a key."""
        return self._held.get(digest)

    def apply(self, record: ClaimRecord, offset: int, at: int) -> None:
        """Take note of a record's claims on keys that have no answer, and of its releases."""
        for claim in record.claims:
            holder = self._held.get(claim.digest)
            if holder is None or claim.over == holder.offset:
                places = tuple((record.topics[topic], number) for topic, number in claim.places)
                self._held[claim.digest] = Held(
                    offset,
                    at,
                    record.lease,
                    record.owner,
                    claim.body_hash,
                    places,
                    claim.since or at,
                    claim.over >= 0,
                )
        for digest, claimed in record.released:
            holder = self._held.get(digest)
            if holder is None or holder.offset != claimed:
                continue
            if holder.took_over:
                # The events of the one before it have not been looked for: the next one does.
                self._held[digest] = msgspec.structs.replace(holder, lease=_ENDED, owner="")
            else:
                del self._held[digest]

    def answered(self, digests: Iterable[bytes]) -> None:
        """Nobody holds these keys any more."""
        for digest in digests:
            self._held.pop(digest, None)

    def forget(self, before: int) -> None:
        """Forget claims that are older (milliseconds) than the window."""
        for digest in [digest for digest, held in self._held.items() if held.at < before]:
            del self._held[digest]
