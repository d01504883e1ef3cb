"""Growths of topics of Headrace itself: which may grow, and why others may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.catalog.type_changes import MOST_PARTITIONS
from backbone.operations.growth_preview import GrowthPreview
from schemas.model import topics
from schemas.model.errors import Conflict, InvalidRequest, NotFound, Problem
from schemas.model.growth import GrowthOrder, moved_share

if TYPE_CHECKING:
    from backbone.kafka.admin import Admin

TOGETHER: dict[str, tuple[str, ...]] = {
    # Replays first: whoever owns a partition of the live deliveries reads the same one of them.
    topics.WEBHOOK_DELIVERIES: (topics.WEBHOOK_REPLAYS, topics.WEBHOOK_DELIVERIES),
    topics.FILE_DELIVERIES: (topics.FILE_DELIVERIES,),
    topics.ATTEMPTS: (topics.ATTEMPTS,),
}
"""Topics that may grow, each with those that grow at once, in this order."""

NOTES: dict[str, str] = {
    topics.WEBHOOK_DELIVERIES: (
        "Endpoints move to other partitions: deliveries to an endpoint may once come in another order than its events, "
        "and for a moment two connectors may send to it, each with its own rate limit."
    ),
    topics.FILE_DELIVERIES: "Endpoints move to other partitions: their events may once be in files in another order.",
    topics.ATTEMPTS: "The ledger may index attempts of one event in another order once, which changes nothing in it.",
}

_REASONS: dict[str, str] = {
    topics.WEBHOOK_REPLAYS: f"it has as many partitions as {topics.WEBHOOK_DELIVERIES}, and grows with it",
    topics.WEBSOCKET_DELIVERIES: "every channel would get another partition, and its positions would be void",
    topics.IDEMPOTENCY: "keys would get another partition, and repeats would not be recognised",
    topics.CATALOG: "the order of all its records decides, so it has one partition",
    topics.SCHEMAS: "the order of all its records decides, so it has one partition",
    topics.CHANNEL_POSITIONS: "the order of all its records decides, so it has one partition",
    topics.ENDPOINT_STATE: "the order of all its records decides, so it has one partition",
    topics.REDACTIONS: "the order of all its records decides, so it has one partition",
    topics.RUNS: "keys would get another partition, and the records of one run would be apart",
}


def check_internal_growth(topic: str, partitions: int, existing: int, order: GrowthOrder) -> tuple[str, ...]:
    """The topics that grow with one of Headrace's own, in order; none if it has so many partitions already.

    Raises:
        InvalidRequest: so many partitions cannot be had.
        Conflict: it must not grow, would have fewer partitions, or its order cannot be kept.
    """
    if topic not in TOGETHER:
        reason = _REASONS.get(topic, "processes read it in a way that takes its partitions as fixed")
        raise Conflict(f"{topic} cannot grow: {reason}")
    if not 1 <= partitions <= MOST_PARTITIONS:
        message = f"must be 1 to {MOST_PARTITIONS}"
        raise InvalidRequest("The topic cannot grow.", [Problem(path="$.partitions", message=message)])
    if partitions < existing:
        raise Conflict(f"{topic} has {existing} partitions: there can only be more, never fewer")
    if order is GrowthOrder.KEEP:
        raise Conflict(f"{topic} grows as_is only. {NOTES[topic]}")
    return TOGETHER[topic]


def internal_preview(topic: str, existing: int, partitions: int) -> GrowthPreview:
    """What the growth of a topic of Headrace would do."""
    return GrowthPreview(
        topic=topic,
        effective_partitions=existing,
        partitions=partitions,
        order=GrowthOrder.AS_IS,
        moved_share=round(moved_share(existing, partitions), 4),
        frozen=None,
        waits_for=[],
        not_controlled=[],
        notes=[NOTES[topic]],
    )


class InternalGrowths:
    """Grows topics of Headrace itself.

    Args:
        admin: of this process.
    """

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    async def existing(self, topic: str) -> int:
        """How many partitions a topic has.

        Raises:
            NotFound: it is no topic of Headrace itself, or does not exist.
        """
        if topic not in TOGETHER and topic not in _REASONS and topic not in _OTHERS:
            raise NotFound(f"There is no topic {topic}.")
        return await self._admin.partition_count(topic)

    async def grow(self, topic: str, partitions: int, order: GrowthOrder) -> None:
        """Grow a topic and those that must have as many partitions; to repeat it carries on.

        Raises:
            InvalidRequest, Conflict: as ``check_internal_growth``.
            Unavailable: Kafka does not answer; a part of the topics may have grown.
        """
        for each in check_internal_growth(topic, partitions, await self.existing(topic), order):
            if await self._admin.partition_count(each) < partitions:
                await self._admin.grow(each, partitions)


_OTHERS = frozenset(
    {*topics.RETRY_TIERS.values(), topics.DEAD_LETTERS, topics.DEAD_LETTER_MARKS, topics.ROUTING_RECEIPTS}
    | {topics.WRITE_PROBES}
)
