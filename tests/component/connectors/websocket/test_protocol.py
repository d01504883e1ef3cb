"""The commands, errors and close codes of the client protocol."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.component.connectors.websocket.node import (
    RawClient,
    channel_token,
    order_ids,
    publish,
    running_node,
    token,
)

if TYPE_CHECKING:
    from pathlib import Path

    from backbone.kafka.settings import KafkaSettings
    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.websocket.node import Clients, RunningNode


def some_channel() -> str:
    return f"orders-{uuid.uuid4()}"


async def test_connect_tells_what_the_sdks_need(clients: Clients) -> None:
    client = await clients.open()

    answer = await client.ask(connect={"token": token(exp=int(time.time()) + 60), "name": "js"})

    result = answer["connect"]
    assert result["client"]
    assert result["version"]
    assert (result["ping"], result["pong"], result["expires"]) == (25, True, True)
    assert 0 < result["ttl"] <= 60
    assert "subs" not in result


async def test_a_connection_token_subscribes_to_its_channels(clients: Clients, office: PostOffice) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    client = await clients.open()

    answer = await client.ask(connect={"token": token(channels=[channel])})
    await publish(office, endpoint, channel, range(1, 3))

    assert answer["connect"]["subs"][channel]["recoverable"] is True
    assert order_ids(await client.publications(2)) == [1, 2]
    again = await client.ask(subscribe={"channel": channel, "token": channel_token(channel)})
    assert again["error"]["code"] == 105


async def test_publications_are_cloudevents_numbered_from_one(clients: Clients, office: PostOffice) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    client, result = await clients.subscribe(channel)
    assert "offset" not in result
    assert (result["recoverable"], result["positioned"]) == (True, True)

    await publish(office, endpoint, channel, range(1, 4))

    push = await client.next()
    assert push["push"]["channel"] == channel
    event = push["push"]["pub"]["data"]
    assert (event["specversion"], event["type"], event["namespace"]) == ("1.0", "Order", "shop")
    assert event["data"] == {"orderId": "1", "total": 1.5}
    rest = await client.publications(2)
    assert [push["push"]["pub"]["offset"], *(each["offset"] for each in rest)] == [1, 2, 3]


async def test_commands_of_one_frame_are_answered_in_order(clients: Clients) -> None:
    channel = some_channel()
    client = await clients.open()

    await client.say(
        {"connect": {"token": token()}, "id": 1},
        {"subscribe": {"channel": channel, "token": channel_token(channel)}, "id": 2},
        {"send": {"data": {}}},
        {"unsubscribe": {"channel": channel}, "id": 3},
        {"ping": {}, "id": 4},
    )

    assert [(await client.next())["id"] for _ in range(4)] == [1, 2, 3, 4]


async def test_nobody_hears_of_another_channel_or_workspace(
    clients: Clients, office: PostOffice, node: RunningNode
) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    elsewhere = await clients.connect(workspace="other")
    await elsewhere.ask(subscribe={"channel": channel, "token": channel_token(channel, workspace="other")})
    client, _ = await clients.subscribe(channel)

    await publish(office, endpoint, channel, range(1, 2))

    assert order_ids(await client.publications(1)) == [1]
    assert await elsewhere.ask(ping={}) == {"id": 3, "ping": {}}
    assert node.count("pushed_total") >= 1


async def test_an_unsubscribed_client_gets_no_more(clients: Clients, office: PostOffice) -> None:
    channel = some_channel()
    endpoint = await office.endpoint("http://unused")
    client, _ = await clients.subscribe(channel)
    other, _ = await clients.subscribe(channel)

    assert (await client.ask(unsubscribe={"channel": channel}))["unsubscribe"] == {}
    await publish(office, endpoint, channel, range(1, 2))

    await other.publications(1)
    assert "ping" in await client.ask(ping={})
    assert (await client.ask(unsubscribe={"channel": "never subscribed"}))["unsubscribe"] == {}


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"subscribe": {"channel": "a"}}, 103),
        ({"subscribe": {"channel": "a", "token": "rubbish"}}, 103),
        ({"subscribe": {"channel": "a", "token": token(exp=1, channel="a")}}, 109),
        ({"subscribe": {"channel": "x" * 256, "token": "rubbish"}}, 107),
        ({"publish": {"channel": "a", "data": {}}}, 103),
        ({"history": {"channel": "a"}}, 103),
        ({"presence": {"channel": "a"}}, 108),
        ({"presence_stats": {"channel": "a"}}, 108),
        ({"rpc": {"method": "m", "data": {}}}, 108),
        ({"subscribe": {"channel": "a", "token": channel_token("a"), "tf": {"op": "eq", "key": "k", "val": "v"}}}, 107),
        ({"subscribe": {"channel": "a", "token": channel_token("a"), "type": 1}}, 108),
        ({"subscribe": {"channel": "a", "token": channel_token("a"), "join_leave": True}}, 108),
        ({"sub_refresh": {"channel": "a", "token": channel_token("a"), "type": 1}}, 108),
        ({"sub_refresh": {"channel": "a"}}, 107),
        ({"sub_refresh": {"channel": "a", "token": channel_token("a")}}, 103),
    ],
)
async def test_errors_leave_the_connection_open(clients: Clients, request_: dict[str, Any], code: int) -> None:
    client = await clients.connect()

    answer = await client.ask(**request_)

    assert answer["error"]["code"] == code
    assert answer["error"]["message"]
    assert "ping" in await client.ask(ping={})


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", 3501),
        ("rubbish", 3501),
        ("[]", 3501),
        ("{}", 3501),
        ('{"id":1,"subscribe":{"channel":"a"}}', 3501),
        ('{"id":1,"connect":{}}', 3501),
        ('{"id":1,"connect":{"token":"rubbish"}}', 3500),
        ('{"connect":{"token":"rubbish"}}', 3501),
    ],
)
async def test_who_does_not_connect_properly_is_closed(clients: Clients, frame: str, code: int) -> None:
    client = await clients.open()

    await client.socket.send_str(frame)

    assert (await client.closed())[0] == code


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{}", 3501),
        ('{"id":2}', 3501),
        ('{"id":2,"nonsense":{}}', 3501),
        (f'{{"id":2,"connect":{{"token":"{token()}"}}}}', 3501),
        ('{"id":2,"subscribe":{}}', 3501),
        ('{"id":2,"subscribe":{"channel":null}}', 3501),
        ('{"id":2,"subscribe":{"channel":"a","delta":"other"}}', 3501),
        (f'{{"id":2,"subscribe":{{"channel":"a","token":"{channel_token("b")}"}}}}', 3500),
        (f'{{"id":2,"subscribe":{{"channel":"a","token":"{channel_token("a", sub="u2")}"}}}}', 3500),
        (f'{{"id":2,"subscribe":{{"channel":"a","token":"{channel_token("a", workspace="w")}"}}}}', 3500),
        (f'{{"id":2,"subscribe":{{"channel":"a","token":"{channel_token("a", client="other")}"}}}}', 3500),
        ('{"id":2,"refresh":{}}', 3501),
        ('{"id":2,"refresh":{"token":"rubbish"}}', 3500),
        (f'{{"id":2,"refresh":{{"token":"{token(sub="u2")}"}}}}', 3500),
        (f'{{"id":2,"refresh":{{"token":"{token(exp=1)}"}}}}', 3005),
        ('{"id":2,"sub_refresh":{"channel":"a","token":"rubbish"}}', 3500),
        (f'{{"id":2,"sub_refresh":{{"channel":"a","token":"{channel_token("a", exp=1)}"}}}}', 3006),
    ],
)
async def test_what_ends_a_connection(clients: Clients, frame: str, code: int) -> None:
    client = await clients.connect()

    await client.socket.send_str(frame)

    assert (await client.closed())[0] == code


async def test_an_expired_token_is_told_so_that_the_client_fetches_another(clients: Clients) -> None:
    client = await clients.open()

    assert (await client.ask(connect={"token": token(exp=1)}))["error"]["code"] == 109
    await client.say({"id": 2, "connect": {"token": token()}})

    assert (await client.closed())[0] == 3501


async def test_a_token_is_worth_no_more_than_its_issuer(clients: Clients) -> None:
    client = await clients.open()

    await client.say({"id": 1, "connect": {"token": token(iss=str(uuid.uuid4()))}})

    assert (await client.closed())[0] == 3500


async def test_a_client_that_goes_in_the_middle_of_a_command_harms_nobody(clients: Clients, office: PostOffice) -> None:
    endpoint = await office.endpoint("http://unused")
    channel, other = some_channel(), some_channel()
    reader, _ = await clients.subscribe(channel)
    _, result = await clients.subscribe(other)
    leaver = await clients.connect(channels=[channel])
    ahead = {"recover": True, "offset": 5, "epoch": result["epoch"]}
    # The node waits a moment for that position; meanwhile the connection is subscribed, and cut.
    await leaver.say({"id": 9, "subscribe": {"channel": other, "token": channel_token(other), **ahead}})
    assert "ping" in await reader.ask(ping={})
    leaver.abort()

    for number in range(1, 6):
        await publish(office, endpoint, channel, range(number, number + 1))

    assert order_ids(await reader.publications(5)) == [1, 2, 3, 4, 5]


async def test_binary_frames_are_not_spoken_here(clients: Clients) -> None:
    client = await clients.open()
    await client.socket.send_bytes(b"\x01")
    assert (await client.closed())[0] == 3501


@pytest.mark.parametrize(
    ("query", "subprotocols", "chosen", "code"),
    [
        ("", ["centrifuge-protobuf"], "centrifuge-protobuf", 3506),
        ("", ["other", "centrifuge-protobuf"], "centrifuge-protobuf", 3506),
        ("?format=protobuf", [], None, 3506),
        ("?cf_protocol=protobuf", [], None, 3506),
        ("?cf_ws_frame_ping_pong=true", [], None, 3508),
    ],
)
async def test_a_client_that_cannot_be_served_is_told_not_to_come_back(
    node: RunningNode, query: str, subprotocols: list[str], chosen: str | None, code: int
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(node.url + query, protocols=subprotocols) as socket,
    ):
        assert socket.protocol == chosen
        closed = await socket.receive(timeout=10)
    assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, code)
    assert closed.extra


@pytest.mark.parametrize(
    ("subprotocols", "chosen"),
    [
        ([], None),
        (["centrifuge-json"], "centrifuge-json"),
        (["centrifuge-protobuf", "centrifuge-json"], "centrifuge-json"),
        (["other", "centrifuge-json"], "centrifuge-json"),
        (["other"], None),
    ],
)
async def test_subprotocols(node: RunningNode, subprotocols: list[str], chosen: str | None) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(node.url, protocols=subprotocols) as socket:
        assert socket.protocol == chosen
        await socket.send_str(json.dumps({"id": 1, "connect": {"token": token(), "name": None, "subs": None}}))
        assert "connect" in json.loads((await socket.receive(timeout=10)).data)


async def test_refresh_prolongs(clients: Clients) -> None:
    channel = some_channel()
    client, _ = await clients.subscribe(channel)
    later = int(time.time()) + 900

    refreshed = await client.ask(refresh={"token": token(exp=later)})
    prolonged = await client.ask(sub_refresh={"token": channel_token(channel, exp=later)})

    assert 890 < refreshed["refresh"]["ttl"] <= 900
    assert refreshed["refresh"]["client"]
    assert prolonged["sub_refresh"]["expires"] is True


async def test_time_ends_connections_and_subscriptions(kafka: KafkaSettings, tmp_path: Path) -> None:
    with running_node(
        kafka, tmp_path, ping_interval=4, pong_timeout=3, stale_delay=3, expiry_grace=0, channel_limit=2
    ) as node:
        async with aiohttp.ClientSession() as session:

            async def open_client() -> RawClient:
                return RawClient(await session.ws_connect(node.url))

            stale, silent, expired, partly = [await open_client() for _ in range(4)]
            soon = int(time.time()) + 5
            await silent.ask(connect={"token": token()})
            await expired.ask(connect={"token": token(exp=soon)})
            await partly.ask(connect={"token": token()})
            await partly.ask(subscribe={"channel": "a", "token": channel_token("a", exp=soon)})

            async def answer_pings(client: RawClient) -> tuple[int, str]:
                while True:
                    message = await client.socket.receive(timeout=60)
                    if message.type is aiohttp.WSMsgType.CLOSE:
                        return message.data, message.extra or ""
                    if message.data == "{}":
                        await client.socket.send_str("{}")
                    elif "unsubscribe" in message.data:
                        return 0, message.data

            closes = await asyncio.gather(stale.closed(), silent.closed(), answer_pings(expired), answer_pings(partly))

            assert closes[0] == (3502, "stale")
            assert closes[1] == (3012, "no pong")
            assert closes[2] == (3005, "connection expired")
            assert '"code":2501' in closes[3][1]

            limited = await open_client()
            await limited.ask(connect={"token": token(channels=["a", "b"])})
            third = await limited.ask(subscribe={"channel": "c", "token": channel_token("c")})
            assert third["error"]["code"] == 106
        assert node.count("closed_total", code="3012") == 1


async def test_pages_of_other_sites_are_refused(clients: Clients) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await clients.open(origin="https://elsewhere.example")
    assert caught.value.status == 403


async def test_plain_http_is_answered(node: RunningNode) -> None:
    base = f"http://127.0.0.1:{node.port}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/connection/websocket") as answer:
            assert answer.status == 400
        async with session.get(f"{base}/readyz") as answer:
            assert answer.status == 200
        async with session.get(f"{base}/") as answer:
            assert answer.status == 404
