"""Whoever comes back gets what it missed, once and in order; all nodes count alike."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backbone.kafka.transaction import TransactionalProducer
from schemas.model import topics
from schemas.model.channels import channel_key
from tests.component.connectors.websocket.node import (
    Clients,
    channel_token,
    order_ids,
    position,
    publications,
    publish,
    running_node,
    some_channel,
    token,
)

if TYPE_CHECKING:
    from pathlib import Path

    from backbone.kafka.settings import KafkaSettings
    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.websocket.node import RunningNode


async def test_what_was_missed_comes_with_the_reply(clients: Clients, office: PostOffice) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    await publish(office, endpoint, channel, range(1, 6))
    at = await position(clients, channel, 5)

    client, result = await clients.subscribe(channel, recover=True, epoch=at["epoch"], offset=2)

    assert (result["was_recovering"], result["recovered"], result["offset"]) == (True, True, 2)
    assert order_ids(result["publications"]) == [3, 4, 5]
    assert [each["offset"] for each in result["publications"]] == [3, 4, 5]
    await publish(office, endpoint, channel, range(6, 7))
    assert order_ids(await client.publications(1)) == [6]


async def test_who_missed_nothing_is_told_so(clients: Clients, office: PostOffice) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    await publish(office, endpoint, channel, range(1, 3))
    at = await position(clients, channel, 2)

    _, result = await clients.subscribe(channel, recover=True, **at)

    assert (result["recovered"], result["offset"]) == (True, 2)
    assert "publications" not in result


async def test_beyond_the_reply_the_rest_follows_before_what_is_new(clients: Clients, office: PostOffice) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    await publish(office, endpoint, channel, range(1, 1_001))
    at = await position(clients, channel, 1_000)

    client, result = await clients.subscribe(channel, recover=True, epoch=at["epoch"], offset=0)
    await publish(office, endpoint, channel, range(1_001, 1_101))
    pushed = await client.publications(800)

    assert order_ids(result["publications"]) == list(range(1, 301))
    assert order_ids(pushed) == list(range(301, 1_101))
    assert [each["offset"] for each in pushed] == list(range(301, 1_101))


async def test_a_reply_has_no_more_bytes_than_its_client_may_have_waiting(
    clients: Clients, node: RunningNode, office: PostOffice
) -> None:
    channels = [some_channel() for _ in range(3)]
    endpoint = await office.endpoint("http://unused")
    for channel in channels:
        # In JSON, which is what is sent, they are six times as long as in their records.
        large = [
            office.delivery(endpoint, data=rb'{"orderId":"%d%b"}' % (number, rb"\u000b" * 8_000))
            for number in range(1, 61)
        ]
        await office.producer.send(
            [
                msgspec.structs.replace(each, topic=topics.WEBSOCKET_DELIVERIES, key=channel_key("default", channel))
                for each in large
            ]
        )
    positions = {channel: await position(clients, channel, 60) for channel in channels}
    slow = node.count("closed_total", code="3008")

    client = await clients.open()
    subs = {channel: {"recover": True, "epoch": at["epoch"], "offset": 0} for channel, at in positions.items()}
    answer = await client.ask(connect={"token": token(channels=channels), "subs": subs})
    found = {channel: order_ids(answer["connect"]["subs"][channel].get("publications", [])) for channel in channels}
    assert len(json.dumps(answer)) < 300_000
    while any(len(each) < 60 for each in found.values()):
        push = (await client.next())["push"]
        found[push["channel"]] += order_ids([push["pub"]])
    page = await client.ask(history={"channel": channels[0], "limit": -1})

    assert all(sub["recovered"] for sub in answer["connect"]["subs"].values())
    assert all(each == list(range(1, 61)) for each in found.values())
    assert [each["offset"] for each in page["history"]["publications"]] == [1, 2, 3, 4, 5]
    assert node.count("closed_total", code="3008") == slow


@pytest.mark.parametrize("lost", [{"epoch": "_", "offset": 1}, {"offset": 99}])
async def test_a_position_of_another_count_is_not_recovered(
    clients: Clients, office: PostOffice, lost: dict[str, Any]
) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    await publish(office, endpoint, channel, range(1, 3))
    at = await position(clients, channel, 2)

    _, result = await clients.subscribe(channel, **{"recover": True, **at, **lost})

    assert "recovered" not in result
    assert "publications" not in result
    assert (result["was_recovering"], result["offset"], result["epoch"]) == (True, 2, at["epoch"])


async def test_history_in_pages(clients: Clients, office: PostOffice) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    await publish(office, endpoint, channel, range(1, 6))
    await position(clients, channel, 5)
    client, result = await clients.subscribe(channel)

    def numbers(answer: Any) -> list[int]:
        return [each["offset"] for each in answer["history"].get("publications", [])]

    epoch = result["epoch"]
    whole = await client.ask(history={"channel": channel, "limit": -1})
    none = await client.ask(history={"channel": channel})
    page = await client.ask(history={"channel": channel, "limit": 2, "since": {"offset": 1, "epoch": epoch}})
    back = await client.ask(
        history={"channel": channel, "limit": 2, "reverse": True, "since": {"offset": 4, "epoch": epoch}}
    )
    other = await client.ask(history={"channel": channel, "limit": 2, "since": {"offset": 1, "epoch": "_"}})

    assert (numbers(whole), none["history"]["offset"]) == ([1, 2, 3, 4, 5], 5)
    assert (numbers(none), numbers(page), numbers(back)) == ([], [2, 3], [3, 2])
    assert other["error"]["code"] == 112


async def test_what_memory_no_longer_holds_is_not_pretended(
    kafka: KafkaSettings, office: PostOffice, tmp_path: Path
) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    with running_node(kafka, tmp_path, history_size=2) as node:
        async with contextlib.AsyncExitStack() as stack:
            clients = Clients(node.url, stack)
            await publish(office, endpoint, channel, range(1, 6))
            at = await position(clients, channel, 5)
            _, lost = await clients.subscribe(channel, recover=True, epoch=at["epoch"], offset=2)
            _, found = await clients.subscribe(channel, recover=True, epoch=at["epoch"], offset=3)
            refused = await clients.connect()
            answer = await refused.ask(
                subscribe={
                    "channel": channel,
                    "token": channel_token(channel),
                    "recover": True,
                    "epoch": at["epoch"],
                    "offset": 2,
                    "flag": 2,
                }
            )
    assert "recovered" not in lost
    assert order_ids(found["publications"]) == [4, 5]
    assert answer["error"]["code"] == 112


async def test_a_client_that_does_not_read_is_closed_as_slow_and_recovers(
    kafka: KafkaSettings, office: PostOffice, tmp_path: Path
) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    with running_node(kafka, tmp_path, send_limit=100_000, slow_timeout=0.5) as node:
        async with contextlib.AsyncExitStack() as stack:
            clients = Clients(node.url, stack)
            slow, result = await clients.subscribe(channel)
            # Nothing is taken off the socket from here on.
            slow.socket._conn.protocol.pause_reading()  # type: ignore[union-attr]
            count = 0
            while node.count("closed_total", code="3008") == 0:
                assert count < 200_000
                await publish(office, endpoint, channel, range(count + 1, count + 1_001))
                count += 1_000
            await position(clients, channel, count)
            back, result = await clients.subscribe(channel, recover=True, epoch=result["epoch"], offset=count - 500)
            assert result["recovered"] is True
            told = order_ids(result["publications"])
            missed = told + order_ids(await back.publications(500 - len(told)))
    assert missed == list(range(count - 499, count + 1))


async def test_a_burst_closes_nobody_who_reads(kafka: KafkaSettings, office: PostOffice, tmp_path: Path) -> None:
    """Far more than may wait for one client comes at once; it gets all of it, in order, on the same connection."""
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    with running_node(kafka, tmp_path, send_limit=20_000) as node:
        async with contextlib.AsyncExitStack() as stack:
            clients = [(await Clients(node.url, stack).subscribe(channel))[0] for _ in range(5)]
            await publish(office, endpoint, channel, range(1, 3_001))
            heard = await asyncio.gather(*(client.publications(3_000) for client in clients))
    assert all(order_ids(found) == list(range(1, 3_001)) for found in heard)
    assert node.count("pushed_total") == 15_000


async def test_what_was_aborted_is_not_counted(clients: Clients, kafka: KafkaSettings, office: PostOffice) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")

    def write(numbers: range, *, commit: bool) -> None:
        producer = TransactionalProducer(kafka, f"test-{uuid.uuid4()}")
        producer.start()
        producer.begin()
        for record in publications(office, endpoint, channel, numbers):
            producer.produce(record)
        if commit:
            producer.commit()
        else:
            producer.abort()
        producer.close()

    client, _ = await clients.subscribe(channel)
    await asyncio.to_thread(write, range(1, 3), commit=True)
    await asyncio.to_thread(write, range(90, 99), commit=False)
    await asyncio.to_thread(write, range(3, 5), commit=True)

    found = await client.publications(4)
    assert (order_ids(found), [each["offset"] for each in found]) == ([1, 2, 3, 4], [1, 2, 3, 4])


async def test_two_nodes_tell_the_same(kafka: KafkaSettings, office: PostOffice, tmp_path: Path) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    async with contextlib.AsyncExitStack() as stack:
        one = stack.enter_context(running_node(kafka, tmp_path / "one"))
        two = stack.enter_context(running_node(kafka, tmp_path / "two"))
        first, _ = await Clients(one.url, stack).subscribe(channel)
        second, _ = await Clients(two.url, stack).subscribe(channel)
        await publish(office, endpoint, channel, range(1, 501))
        heard = [await first.publications(500), await second.publications(500)]
        assert heard[0] == heard[1]
        assert [each["offset"] for each in heard[0]] == list(range(1, 501))
