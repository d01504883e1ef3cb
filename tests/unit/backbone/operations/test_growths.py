"""The steps of a growth, each under the writer lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from backbone.catalog.view import CatalogView
from backbone.operations.growths import Growths
from schemas.model.growth import GrowthState
from tests.unit.backbone.publishing.test_type_lease import GROWTH, OFFER

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.writer import Changes

T = TypeVar("T")


class World:
    """A catalog with its lock, and a Kafka in which topics have partitions."""

    def __init__(self, partitions: int) -> None:
        self.view = CatalogView()
        self.partitions = partitions

    async def write(self, decide: Callable[[CatalogView], Changes[T]]) -> T:
        changes = decide(self.view)
        for each in changes.put:
            self.view.put(each, 0)
        return changes.result

    async def partition_count(self, topic: str) -> int:
        assert topic == OFFER.topic
        return self.partitions

    async def grow(self, topic: str, partitions: int) -> None:
        assert topic == OFFER.topic
        self.partitions = partitions


async def test_events_go_to_no_partition_that_a_restored_topic_does_not_have() -> None:
    """A backup says that a type grows, and its topic is made with the partitions that events went to."""
    world: Any = World(partitions=OFFER.effective_partitions)
    draining = msgspec.structs.replace(GROWTH, state=GrowthState.DRAINING)
    for each in (OFFER, draining):
        world.view.put(each, 0)
    growths = Growths(world, world, world)
    # Of two processes that carry it on, one ends it.
    assert [await growths.finish(draining), await growths.finish(draining)] == [True, False]
    grown = world.view.event_type(OFFER.topic)
    assert grown.effective_partitions == world.partitions == GROWTH.partitions
    assert world.view.growth(OFFER.topic).state is GrowthState.DONE
