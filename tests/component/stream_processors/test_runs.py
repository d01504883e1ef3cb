"""Runs on real Kafka: replayers that are killed and that believe to have the same run send every event once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from backbone.kafka.consumer import BatchConsumer
from backbone.runs.ranges import find_ranges
from backbone.runs.records import run_record
from backbone.runs.view import RunView
from schemas.model import timestamps, topics
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.errors import Conflict
from schemas.model.ids import delivery_id, new_id
from schemas.model.run import OffsetRange, Run, RunKind, RunState
from tests.component.stream_processors.installation import wait_until
from tests.component.stream_processors.routed_events import event_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbone.kafka.records import Partition
    from schemas.model.endpoint import Endpoint
    from schemas.model.event_type import EventType
    from tests.component.stream_processors.installation import Installation

COUNT = 3_000


@pytest.fixture
def view(installation: Installation) -> Iterator[RunView]:
    made = RunView(installation.settings)
    made.catch_up()
    yield made
    made.stop()


async def linked(installation: Installation, count: int) -> tuple[EventType, Endpoint, list[str]]:
    """An event type with events that no router has seen, and an endpoint that is subscribed to them since."""
    orders = await installation.event_type("Order")
    endpoint = await installation.endpoint("hook")
    await installation.link(await installation.event_filter("Order"), endpoint)
    events = [new_id() for _ in range(count)]
    await installation.producer.send(event_records(installation, orders, events))
    return orders, endpoint, events


async def ask(
    installation: Installation, view: RunView, orders: EventType, endpoint: Endpoint, rate: float | None = None
) -> Run:
    """A replay of everything."""
    ranges = await asyncio.to_thread(find_ranges, installation.settings, [orders.topic], None, None, seconds=30)
    run = Run(
        id=new_id(),
        kind=RunKind.REPLAY,
        workspace=installation.workspace,
        endpoint=endpoint.id,
        ranges=ranges,
        rate=rate,
        requested_by="me",
        created_at=timestamps.now(),
    )
    await installation.producer.send([run_record(run, view.partitions)])
    return run


def wait_for(view: RunView, run: Run, *states: RunState, deliveries: int = 0) -> None:
    """Wait until a run is in one of these states and has made so many deliveries."""

    def reached() -> bool:
        known = view.run(run.id)
        made = known.progress.deliveries if known and known.progress else 0
        return known is not None and known.state in states and made >= deliveries

    wait_until(reached, 120, f"{run.id} is {states} with {deliveries} deliveries")


def replayed(installation: Installation, run: Run, began: dict[Partition, int]) -> list[Delivery]:
    """What the run wrote."""
    consumer = BatchConsumer(installation.settings, group=None)
    try:
        partitions = consumer.partitions_of([topics.WEBHOOK_REPLAYS])
        ends = consumer.end_offsets(partitions)
        consumer.assign({partition: began.get(partition, 0) for partition in partitions})
        found = []
        while any(consumer.ends.get(partition, 0) < end for partition, end in ends.items()):
            found += [Delivery.from_headers(each.headers()) for each in consumer.consume(5_000, 0.2)]
    finally:
        consumer.close()
    return [each for each in found if each.run == run.id]


async def test_replayers_that_are_killed_and_overtaken_send_every_event_once(
    installation: Installation, view: RunView
) -> None:
    orders, endpoint, events = await linked(installation, COUNT)
    count = await installation.admin.partition_count(topics.WEBHOOK_REPLAYS)
    began = await installation.admin.end_offsets([(topics.WEBHOOK_REPLAYS, number) for number in range(count)])
    run = await ask(installation, view, orders, endpoint, rate=1_000)

    with installation.worker(0, command="replayer", fault="kill:2") as killed:
        await asyncio.to_thread(wait_until, lambda: killed.exit_code is not None, 60, "one is killed in a transaction")
    with installation.worker(1, command="replayer") as stopped:
        await asyncio.to_thread(wait_for, view, run, RunState.RUNNING, RunState.DONE, deliveries=500)
        # It keeps what it has until the group gives its partitions to the next one, and wakes up believing in it.
        stopped.pause()
        with installation.worker(2, command="replayer") as successor:
            await asyncio.to_thread(wait_for, view, run, RunState.DONE)
            stopped.resume()
            again = await ask(installation, view, orders, endpoint)
            await asyncio.to_thread(wait_for, view, again, RunState.DONE)
            assert await asyncio.to_thread(successor.terminate) == 0, successor.log
        assert await asyncio.to_thread(stopped.terminate) == 0, stopped.log

    for each in (run, again):
        made = await asyncio.to_thread(replayed, installation, each, began)
        assert sorted(one.event for one in made) == sorted(events)
        assert {one.id for one in made} == {delivery_id(event, endpoint.id) for event in events}
        known = view.run(each.id)
        assert known is not None
        assert known.progress is not None
        assert (known.progress.deliveries, known.progress.skipped) == (COUNT, {})


async def test_a_range_that_retention_has_taken_says_from_where_it_can_begin(installation: Installation) -> None:
    orders, _, events = await linked(installation, 40)
    before = timestamps.now() - 60_000_000
    settings, places = installation.settings, [orders.topic]
    whole = await asyncio.to_thread(find_ranges, settings, places, before, None, seconds=30)
    assert sum(each.count for each in whole) == len(events)
    partition = max(whole, key=lambda each: each.count).partition
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    (removed,) = admin.delete_records([TopicPartition(orders.topic, partition, 3)]).values()
    removed.result(30)

    with pytest.raises(Conflict, match="can begin at") as refused:
        await asyncio.to_thread(find_ranges, settings, places, before, None, seconds=30)
    begin = timestamps.parse(str(refused.value).split("`")[1])
    assert await asyncio.to_thread(find_ranges, settings, places, begin, None, seconds=30)
    place = SourceOffset(orders.topic, partition, 1)
    with pytest.raises(Conflict, match=f"{orders.topic}/{partition}/3"):
        await asyncio.to_thread(find_ranges, settings, places, place, None, seconds=30)
    left = await asyncio.to_thread(find_ranges, settings, places, None, None, seconds=30)
    assert (
        OffsetRange(orders.topic, partition, 3, next(each.end for each in whole if each.partition == partition)) in left
    )
