"""The lease on event types: by a clock that only grows, checked before and after events are handed to Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from backbone.catalog.view import CatalogView
from backbone.kafka.records import Record, partition_for
from backbone.kafka.settings import KafkaSettings
from backbone.publishing.type_lease import TypeLease, seconds_of_freeze, seconds_until_expired
from schemas.model.errors import Frozen, Moved, NotAcknowledged, NotWritten, Unavailable
from schemas.model.event_type import EventType
from schemas.model.growth import Growth, GrowthOrder, GrowthState

if TYPE_CHECKING:
    from backbone.catalog.reader import Catalog

OFFER = EventType(
    workspace="w",
    namespace="n",
    code="Offer",
    partition_key="data.id",
    effective_partitions=3,
    schema_id=1,
    created_at=0,
    updated_at=0,
)
GROWTH = Growth(
    id="g",
    workspace="w",
    topic=OFFER.topic,
    before=3,
    partitions=12,
    order=GrowthOrder.KEEP,
    state=GrowthState.FREEZING,
    requested_by="operator",
    created_at=0,
    updated_at=0,
)
LEASE = 10.0


class World:
    """A catalog as this process knows it, the one that there is, and a clock."""

    def __init__(self) -> None:
        self.view = CatalogView()
        self.view.put(OFFER, 0)
        self.unread: list[EventType | Growth] = []
        self.now = 1_000.0
        self.is_away = False
        self.lease = TypeLease(cast("Catalog", self), KafkaSettings(type_lease=LEASE), clock=lambda: self.now)

    async def caught_up(self, timeout: float = 0.0) -> None:  # noqa: ASYNC109  # the catalog's own
        assert timeout
        if self.is_away:
            raise Unavailable("Kafka is away")
        for each in self.unread:
            self.view.put(each, 0)
        self.unread.clear()

    def write(self, *resources: EventType | Growth) -> None:
        """Others write to the catalog: this process does not know of it yet."""
        self.unread += resources


@pytest.fixture
def world() -> World:
    return World()


def record(key: str, partitions: int = 3) -> Record:
    return Record(OFFER.topic, b"", key.encode(), None, partition_for(key.encode(), partitions))


def moving_key() -> str:
    return next(key for key in map(str, range(100)) if record(key).partition != record(key, 12).partition)


def grown(state: GrowthState) -> Growth:
    return msgspec.structs.replace(GROWTH, state=state)


async def test_events_are_written_while_the_lease_is_held(world: World) -> None:
    permit = world.lease.permit()
    await permit.held([record("a")])

    assert permit.refusal([record("a")]) is None
    world.now += LEASE - 0.1
    assert permit.refusal([record("a")]) is None
    await permit.check_written([record("a")])


async def test_a_process_that_was_stopped_before_it_produces_does_not(world: World) -> None:
    permit = world.lease.permit()
    await permit.held([record("a")])
    world.now += LEASE

    assert isinstance(permit.refusal([record("a")]), NotWritten)


async def test_a_process_that_does_not_know_of_the_freeze_stops_before_others_may_go_on(world: World) -> None:
    permit = world.lease.permit()
    await permit.held([record("a")])
    world.write(grown(GrowthState.FREEZING))
    world.now += seconds_until_expired(KafkaSettings(type_lease=LEASE))

    assert isinstance(permit.refusal([record("a")]), NotWritten)
    await permit.held([record("a")])
    assert isinstance(permit.refusal([record("a")]), Frozen)


async def test_a_new_process_reads_the_catalog_before_it_publishes(world: World) -> None:
    world.write(grown(GrowthState.DRAINING))
    permit = world.lease.permit()
    await permit.held([record("a")])

    assert isinstance(permit.refusal([record("a")]), Frozen)


async def test_a_frozen_type_is_refused_also_when_nothing_changes(world: World) -> None:
    world.view.put(grown(GrowthState.FREEZING), 0)
    permit = world.lease.permit()
    await permit.held([record("a")])

    with pytest.raises(Frozen) as caught:
        permit.check([record("a")])
    assert 1 <= caught.value.retry_after <= seconds_of_freeze(KafkaSettings()) + LEASE * 2
    assert permit.refusal([Record("events.w.n.Other", b"", None)]) is None


async def test_events_encoded_for_the_former_partitions_are_refused_after_the_growth(world: World) -> None:
    permit = world.lease.permit()
    await permit.held([record("a")])
    world.write(msgspec.structs.replace(OFFER, effective_partitions=12), grown(GrowthState.DONE))
    world.now += 10 * LEASE
    await permit.held([record("a")])

    assert isinstance(permit.refusal([record(moving_key())]), Moved)
    stayed = next(key for key in map(str, range(100)) if record(key).partition == record(key, 12).partition)
    assert permit.refusal([record(stayed)]) is None


async def test_what_was_in_flight_when_the_freeze_began_is_acknowledged(world: World) -> None:
    permit = world.lease.permit()
    await permit.held([record("a")])
    world.write(grown(GrowthState.FREEZING))
    world.now += LEASE

    await permit.check_written([record("a")])


@pytest.mark.parametrize("state", [GrowthState.DRAINING, GrowthState.DONE])
async def test_what_was_written_late_is_acknowledged_to_nobody(world: World, state: GrowthState) -> None:
    permit = world.lease.permit()
    await permit.held([record("a")])
    assert permit.refusal([record(moving_key())]) is None  # and here the process is stopped
    if state is GrowthState.DONE:
        world.write(msgspec.structs.replace(OFFER, effective_partitions=12))
    world.write(grown(state))
    world.now += 100 * LEASE

    with pytest.raises(NotAcknowledged):
        await permit.check_written([record(moving_key())])


async def test_what_was_written_late_counts_if_the_growth_was_rolled_back(world: World) -> None:
    permit = world.lease.permit()
    await permit.held([record("a")])
    world.write(grown(GrowthState.ROLLED_BACK))
    world.now += 100 * LEASE

    await permit.check_written([record(moving_key())])


async def test_without_kafka_nothing_is_written_nor_acknowledged(world: World) -> None:
    permit = world.lease.permit()
    await permit.held([record("a")])
    world.is_away = True
    world.now += LEASE

    with pytest.raises(NotWritten):
        await permit.held([record("a")])
    with pytest.raises(NotAcknowledged):
        await permit.check_written([record("a")])


async def test_events_without_keys_need_no_lease(world: World) -> None:
    """They are written as long as their topic is there, whatever becomes of the catalog's."""
    world.is_away = True
    unkeyed = [Record(OFFER.topic, b"", None)]
    permit = world.lease.permit()

    await permit.held(unkeyed)
    assert permit.refusal(unkeyed) is None
    await permit.check_written(unkeyed)


async def test_the_time_of_a_lease_counts_from_before_the_question(world: World) -> None:
    class Slow(World):
        async def caught_up(self, timeout: float = 0.0) -> None:  # noqa: ASYNC109  # as above
            await super().caught_up(timeout)
            self.now += LEASE - 1

    slow = Slow()
    permit = slow.lease.permit()
    await permit.held([record("a")])
    slow.now += 1

    assert not slow.lease.is_held
