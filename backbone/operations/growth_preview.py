"""What a growth would do, told before it is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.group_questions import known_groups
from backbone.operations.draining import is_routed
from backbone.operations.growth_driver import MOST_DRAINING
from backbone.publishing.type_lease import seconds_of_freeze, seconds_until_expired
from schemas.model.errors import Unavailable
from schemas.model.growth import GrowthOrder, moved_share

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backbone.catalog.view import CatalogView
    from backbone.kafka.our_groups import OurGroups
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.event_type import EventType

OURS = "headrace-"
"""Groups of Headrace have names that begin so, unless an installation calls one otherwise."""


class FrozenSeconds(msgspec.Struct, frozen=True):
    """How long publishers refuse an event type."""

    at_least: float
    at_most: float


class GrowthPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a growth would do.

    Attributes:
        topic: of the event type.
        effective_partitions: that events go to now.
        partitions: that they would go to.
        order: whether it is kept.
        moved_share: part of the keys that would go to another partition, 0 to 1.
        frozen: for how long nothing could be published; None: not at all.
        waits_for: groups that would have to read what was published before.
        not_controlled: groups of others that read the topic, None: Kafka does not say. They keep the order of keys only
            if they read each partition to its former end before the new ones.
        notes: what else is to be known, as sentences.
    """

    topic: str
    effective_partitions: int
    partitions: int
    order: GrowthOrder
    moved_share: float
    frozen: FrozenSeconds | None
    waits_for: list[str]
    not_controlled: list[str] | None
    notes: list[str]


def preview(
    view: CatalogView,
    event_type: EventType,
    partitions: int,
    order: GrowthOrder,
    *,
    settings: KafkaSettings,
    ours: OurGroups,
    seconds: float,
) -> GrowthPreview:
    """Look at the catalog and the groups. Blocks for at most ``seconds``.

    Args:
        view: the catalog.
        event_type: whose topic would grow.
        partitions: that it would have.
        order: whether it would be kept.
        settings: how to reach Kafka.
        ours: names of our groups.
        seconds: for Kafka to tell of the groups.
    """
    try:
        found = [each.group for each in known_groups(settings, None, topic=event_type.topic, seconds=seconds)]
    except Unavailable:
        found = None
    is_kept = order is GrowthOrder.KEEP
    waits_for = [ours.router] if is_routed(view, event_type) else []
    waits_for += [ours.ledger] if found and ours.ledger in found else []
    least = seconds_of_freeze(settings) + seconds_until_expired(settings)
    others = None if found is None else [each for each in found if not _is_ours(each, ours)]
    moved = moved_share(event_type.effective_partitions, partitions) if event_type.partition_key else 0.0
    return GrowthPreview(
        topic=event_type.topic,
        effective_partitions=event_type.effective_partitions,
        partitions=partitions,
        order=order,
        moved_share=round(moved, 4),
        frozen=FrozenSeconds(least, least + MOST_DRAINING) if is_kept else None,
        waits_for=waits_for if is_kept else [],
        not_controlled=others,
        notes=list(_notes(event_type, order, others)),
    )


def _is_ours(group: str, ours: OurGroups) -> bool:
    return group.startswith(OURS) or group in (ours.router, ours.ledger)


def _notes(event_type: EventType, order: GrowthOrder, others: list[str] | None) -> Iterable[str]:
    if event_type.partition_key is None:
        yield "The event type has no partition key: its events have no order that a growth could change."
    elif order is GrowthOrder.AS_IS:
        yield (
            "Keys move at once: an event may overtake an earlier one of its key that still waits in the former "
            "partition. With order keep it cannot."
        )
    else:
        yield (
            "Nobody can publish to this event type while it is frozen: publishers get 503 with Retry-After. Groups "
            "that have not read on after the longest time roll the growth back."
        )
    if others:
        yield "Groups of others are not waited for: a later event of a key may reach them before an earlier one."
    if others is None:
        yield "Kafka does not say now which groups read the topic."
    yield "Whoever writes to the topic directly is not held back, and its own partitioner uses new partitions at once."
    if event_type.compacted:
        yield "The topic is compacted: the last event of a key stays in its former partition beside the new one."
