"""One token bucket: a quota of one kind, of one client or workspace."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from ingest_api.quotas.shared_buckets import bucket_key
from schemas.model.quota import QuotaKind

if TYPE_CHECKING:
    from ingest_api.quotas.shared_buckets import SharedBuckets

LEASE_SECONDS = 0.01
"""A worker takes the tokens of so many seconds in advance, so that most requests need no lock."""

PLACES = {kind: place for place, kind in enumerate(QuotaKind)}
"""A request takes a tuple of tokens, one of each kind: to look them up by kind costs a request more than all else."""

CLIENT: Literal["client"] = "client"
WORKSPACE: Literal["workspace"] = "workspace"


class Owner(NamedTuple):
    """Whose a quota is: ``name`` is a client's unique id, or a workspace's name."""

    scope: str
    name: str


class Standing(NamedTuple):
    """How a quota stands on this machine.

    Attributes:
        limit: a second.
        available: tokens that can be had at once; those that workers have taken in advance are not among them.
        refused: requests that were refused, as far as they are remembered.
        refused_seconds_ago: since the last of them; None: none is remembered.
    """

    limit: int
    available: float
    refused: int
    refused_seconds_ago: float | None


class Bucket:
    """The tokens of one quota, shared by the workers of this machine.

    Attributes:
        scope: ``client`` or ``workspace``.
        kind: what it counts.
        place: where that is in what a request takes, see ``PLACES``.
        rate: tokens a second.
        most: tokens that can be had at once.
        credit: tokens that this worker has taken in advance.

    Args:
        buckets: where the workers share it.
        whose: the client or workspace.
        kind, rate: as the attributes.
        burst_seconds: the bucket holds the tokens of so many seconds, at least one.
    """

    __slots__ = ("_buckets", "_key", "_lease", "_seconds", "credit", "kind", "most", "place", "rate", "scope")

    def __init__(self, buckets: SharedBuckets, whose: Owner, kind: QuotaKind, rate: int, burst_seconds: float) -> None:
        self._buckets = buckets
        self._key = bucket_key(*whose, kind)
        self.scope = whose.scope
        self.kind = kind
        self.place = PLACES[kind]
        self.rate = rate
        self.most = max(1.0, rate * burst_seconds)
        self.credit = 0.0
        self._seconds = self.most / rate
        self._lease = rate * LEASE_SECONDS

    def shortfall(self, tokens: int, now: float) -> float:
        """Return the seconds until so many tokens can be had; 0: they can now. To be called with the lock."""
        missing = tokens - self.credit
        if missing <= 0:
            return 0.0
        full_in = self._buckets.level(self._key).full_at - now
        if full_in > self._seconds:
            # It cannot be emptier than empty: the time is of before the machine started again.
            self._buckets.fill(self._key, now + self._seconds, now)
            full_in = self._seconds
        # Past rounding: a bucket of ten holds ten.
        return max(0.0, missing / self.rate - self._seconds + max(0.0, full_in) - 1e-9)

    def take(self, tokens: int, now: float) -> None:
        """Take tokens that can be had, and some in advance. To be called with the lock."""
        missing = tokens - self.credit
        if missing > 0:
            seconds = self._available_seconds(now)
            granted = max(missing, min(missing + self._lease, seconds * self.rate))
            self._buckets.fill(self._key, now + self._seconds - seconds + granted / self.rate, now)
            self.credit += granted
        self.credit -= tokens

    def refuse(self, now: float) -> None:
        """Count a refusal. To be called with the lock."""
        self._buckets.refuse(self._key, now)

    def standing(self, now: float) -> Standing:
        """How it stands on this machine."""
        level = self._buckets.level(self._key)
        refused = level.refused if level.refused_at <= now else 0
        return Standing(
            limit=self.rate,
            available=math.floor(self._available_seconds(now) * self.rate),
            refused=refused,
            refused_seconds_ago=now - level.refused_at if refused else None,
        )

    def _available_seconds(self, now: float) -> float:
        full_in = min(self._buckets.level(self._key).full_at - now, self._seconds)
        return self._seconds - max(0.0, full_in)
