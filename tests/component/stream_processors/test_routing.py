from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.producer import Producer
from backbone.kafka.records import Record
from schemas.model.delivery import ReceiptKind
from schemas.model.ids import delivery_id
from tests.component.stream_processors.installation import wait_until

if TYPE_CHECKING:
    from tests.component.stream_processors.installation import Installation

DEAR = '{"data": {"price": [{"numeric": [">", 100]}]}}'


async def test_an_event_becomes_one_delivery_for_each_endpoint_that_it_matches(installation: Installation) -> None:
    orders = await installation.event_type("Order")
    everything, dear = await installation.endpoint("everything"), await installation.endpoint("dear")
    await installation.link(await installation.event_filter("Order"), everything)
    await installation.link(await installation.event_filter("*", condition=DEAR), dear)

    with installation.worker(0) as worker:
        await installation.publish(orders, "cheap", data='{"price": 5}')
        await installation.publish(orders, "costly", data='{"price": 500}')
        found = await asyncio.to_thread(installation.wait_for_deliveries, {everything.id, dear.id}, 3)
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log

    assert {(each.event, each.endpoint) for each in found} == {
        ("cheap", everything.id),
        ("costly", everything.id),
        ("costly", dear.id),
    }
    assert all(each.id == delivery_id(each.event, each.endpoint) for each in found)


async def test_events_that_match_nothing_are_behind_the_router_too(installation: Installation) -> None:
    orders = await installation.event_type("Order")
    dear = await installation.endpoint("dear")
    await installation.link(await installation.event_filter("Order", condition=DEAR), dear)
    consumer = BatchConsumer(installation.settings, group=f"router-{installation.workspace}")

    with installation.worker(0) as worker:
        for key in "abcd":
            await installation.publish(orders, *(f"{key}-{n}" for n in range(25)), key=key, data='{"price": 5}')
        ends = await installation.ends(orders)
        behind = {each: end for each, end in ends.items() if end}
        await asyncio.to_thread(wait_until, lambda: consumer.committed(behind) == behind, 120, "all committed")
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log
    consumer.close()

    receipts = await asyncio.to_thread(installation.assert_receipts_tile, orders.topic, ends)
    assert sum(each.events for each in receipts) == 100
    assert [each.matched for each in receipts if each.matched] == []
    assert installation.deliveries({dear.id}) == []


async def test_poison_in_an_event_topic_is_set_aside_and_the_rest_is_routed(installation: Installation) -> None:
    orders = await installation.event_type("Order", partitions=1)
    dear = await installation.endpoint("dear")
    await installation.link(await installation.event_filter("Order", condition=DEAR), dear)

    with installation.worker(0) as worker:
        await installation.publish(orders, "before", data='{"price": 500}')
        garbage = installation.event(orders, "cut off", data='{"price": 500}')
        unknown_schema = b"\x00\x7f\xff\xff\xff" + (garbage.value or b"")[5:]
        poison = [b"not an event at all", (garbage.value or b"")[:20], unknown_schema, b""]
        await installation.producer.send([Record(orders.topic, value, partition=0) for value in [*poison, None]])
        await installation.publish(orders, "after", data='{"price": 500}')
        found = await asyncio.to_thread(installation.wait_for_deliveries, {dear.id}, 2)
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log

    assert [each.event for each in found] == ["before", "after"]
    dead = await asyncio.to_thread(installation.dead_letters, orders.topic)
    assert sorted(int(each["hr_dead_offset"]) for each in dead) == [1, 2, 3, 4]
    assert {each["hr_dead_kind"] for each in dead} == {b"poison"}
    await asyncio.to_thread(installation.assert_receipts_tile, orders.topic, await installation.ends(orders))


async def test_events_of_a_partition_that_lost_its_last_records_are_routed(installation: Installation) -> None:
    """A broker that lost power may know the group's offsets and not the events: new ones get the same offsets."""
    orders = await installation.event_type("Order", partitions=1)
    everything = await installation.endpoint("everything")
    await installation.link(await installation.event_filter("Order"), everything)
    with installation.worker(0) as worker:
        await installation.publish(orders, "before")
        await asyncio.to_thread(installation.wait_for_deliveries, {everything.id}, 1)
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log

    admin = AdminClient(installation.settings.client_config())
    ahead = ConsumerGroupTopicPartitions(f"router-{installation.workspace}", [TopicPartition(orders.topic, 0, 100)])
    for moved in admin.alter_consumer_group_offsets([ahead]).values():
        await asyncio.to_thread(moved.result, 30)

    with installation.worker(0) as worker:
        wait_until(lambda: "are gone from Kafka" in worker.log, 120, "it is told")
        await installation.publish(orders, "after")
        found = await asyncio.to_thread(installation.wait_for_deliveries, {everything.id}, 2)
        assert await asyncio.to_thread(worker.terminate) == 0, worker.log
    assert [each.event for each in found] == ["before", "after"]
    await asyncio.to_thread(installation.assert_receipts_tile, orders.topic, await installation.ends(orders))


async def test_partitions_that_a_topic_gains_are_routed_from_their_first_offset(installation: Installation) -> None:
    orders = await installation.event_type("Order", partitions=1)
    endpoint = await installation.endpoint("all")
    await installation.link(await installation.event_filter("Order"), endpoint)

    with installation.worker(0):
        await installation.publish(orders, "first")
        await asyncio.to_thread(installation.wait_for_deliveries, {endpoint.id}, 1)
        await installation.admin.grow(orders.topic, 3)
        more = [installation.event(orders, f"event-{number}") for number in range(30)]
        # One that has not yet learned how many partitions there were.
        producer = Producer(installation.settings)
        await producer.start()
        await producer.send(
            [
                Record(each.topic, each.value, headers=each.headers, partition=number % 3)
                for number, each in enumerate(more)
            ]
        )
        await producer.stop()
        found = await asyncio.to_thread(installation.wait_for_deliveries, {endpoint.id}, 31)

    assert len({each.event for each in found}) == len(found) == 31
    await asyncio.to_thread(installation.assert_receipts_tile, orders.topic, await installation.ends(orders))


async def test_a_resubscribed_topic_does_not_replay_the_gap(installation: Installation) -> None:
    orders = await installation.event_type("Order", partitions=1)
    endpoint = await installation.endpoint("all")
    event_filter = await installation.event_filter("Order")
    first = await installation.link(event_filter, endpoint)

    with installation.worker(0) as worker:
        await installation.publish(orders, "subscribed")
        await asyncio.to_thread(installation.wait_for_deliveries, {endpoint.id}, 1)
        await installation.unlink(first)
        await asyncio.to_thread(wait_until, lambda: '"partitions revoked"' in worker.log, 120, "topic given up")
        await installation.publish(orders, *(f"gap-{number}" for number in range(50)))
        await installation.link(event_filter, endpoint)
        await installation.publish(orders, "subscribed again")
        found = await asyncio.to_thread(installation.wait_for_deliveries, {endpoint.id}, 2)

    assert [each.event for each in found] == ["subscribed", "subscribed again"]
    receipts = await asyncio.to_thread(installation.assert_receipts_tile, orders.topic, await installation.ends(orders))
    assert [(each.kind, each.next_offset - each.first_offset) for each in receipts] == [
        (ReceiptKind.ROUTED, 1),
        (ReceiptKind.SKIPPED, 50),
        (ReceiptKind.ROUTED, 1),
    ]
