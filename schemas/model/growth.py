"""Growths: more partitions for the topic of an event type, step by step."""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec


class GrowthOrder(StrEnum):
    """What becomes of the order of events with one key while their topic grows."""

    KEEP = "keep"
    """Nothing is published until what was published before has been routed."""
    AS_IS = "as_is"
    """Events go to the new partitions at once: a later one may overtake an earlier one of its key."""


class GrowthState(StrEnum):
    """How far a growth is. Only under the writer lock of the catalog it goes to the next one."""

    FREEZING = "FREEZING"
    """Publishers refuse the event type; what they have in flight still comes to its end."""
    DRAINING = "DRAINING"
    """Publishers acknowledge nothing more of before; the groups of Headrace read up to the ends."""
    DONE = "DONE"
    ROLLED_BACK = "ROLLED_BACK"
    """Events go to the former number of partitions, as before."""


ENDED = frozenset({GrowthState.DONE, GrowthState.ROLLED_BACK})
"""States that a growth does not leave."""


class Growth(msgspec.Struct, frozen=True, kw_only=True, tag="growth", tag_field="kind"):
    """The growth of an event type's topic that is under way, or the last one: each topic has one record.

    Attributes:
        id: of this growth.
        topic: of the event type.
        before: partitions that events went to.
        partitions: that they go to when it is done.
        reason: why it was rolled back.
        requested_by: id of the client.
        created_at, updated_at: microseconds since the epoch.
    """

    id: str
    workspace: str
    topic: str
    before: int
    partitions: int
    order: GrowthOrder
    state: GrowthState
    reason: str | None = None
    requested_by: str
    created_at: int
    updated_at: int

    @property
    def key(self) -> str:
        """Catalog record key."""
        return growth_key(self.topic)

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is done."""
        return self.state in ENDED


def growth_key(topic: str) -> str:
    """The catalog record key of a topic's growth."""
    return f"growth/{topic}"


def moved_share(before: int, partitions: int) -> float:
    """The part of all keys, 0 to 1, that go to another partition under ``murmur2(key) % partitions``.

    A key stays if its hash has the same remainder for both: that is so for ``before`` of ``lcm(before, partitions)``
    hashes in a row.
    """
    return 1 - before / math.lcm(before, partitions)
