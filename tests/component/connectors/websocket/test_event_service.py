"""Event-service sockets of a running node: clients that fall behind, that take nothing, and a node that stops."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp
import msgspec
import pytest

from backbone.catalog.secrets import SecretBox
from families.event_service.delivery import socket as event_service
from schemas.model import timestamps, topics
from schemas.model.access import ApiKey, Client, Realm, Role, Workspace
from schemas.model.channels import channel_key, own_channel
from schemas.model.endpoint import BodyFormat, Endpoint, EndpointType
from tests.component.connectors.websocket.node import RunningNode, running_node
from tests.support.running_gateway import SECRET_KEYS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from backbone.kafka.settings import KafkaSettings
    from tests.component.connectors.post_office import PostOffice

_SECONDS = 120
_KEPT = 20
_LARGE = "x" * 300_000


@dataclass
class Account:
    """A websocket endpoint, a key for it, and how its events are delivered."""

    office: PostOffice
    endpoint: Endpoint
    key: str

    async def deliver(self, count: int, text: str = "") -> None:
        deliveries = [
            msgspec.structs.replace(
                self.office.delivery(self.endpoint, data=json.dumps({"orderId": f"{number}{text}"}).encode()),
                topic=topics.WEBSOCKET_DELIVERIES,
                key=channel_key(self.endpoint.workspace, own_channel(self.endpoint.id)),
            )
            for number in range(count)
        ]
        await self.office.producer.send(deliveries)

    @contextlib.asynccontextmanager
    async def socket(self, node: RunningNode) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        url = f"ws://127.0.0.1:{node.port}{event_service.PATH}?endpoint_id={self.endpoint.id}&access={self.key}"
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
            yield socket


async def account(office: PostOffice) -> Account:
    """One in the catalog."""
    box = SecretBox([SECRET_KEYS])
    now, key = timestamps.now(), f"hrk_{uuid4()}"
    dates = {"created_at": now, "updated_at": now}
    named = {"id": str(uuid4()), "workspace": office.workspace, "name": "viewer"}
    client = Client(**named, realm=Realm("graphql"), roles=(Role.VIEWER,), **dates)
    api_key = ApiKey(
        id=str(uuid4()), client=client.id, workspace=office.workspace, digest=box.digest(key), hint="", **dates
    )
    endpoint = Endpoint(
        id=str(uuid4()),
        workspace=office.workspace,
        name="socket",
        type=EndpointType.WEB_SOCKET,
        body=BodyFormat("event_service"),
        **dates,
    )
    workspace = Workspace(id=str(uuid4()), name=office.workspace, **dates)
    await office.write(workspace, client, api_key, endpoint)
    return Account(office, endpoint, key)


async def code_of(socket: aiohttp.ClientWebSocketResponse) -> tuple[int, list[Any]]:
    """The close code, and what was said before."""
    said: list[Any] = []
    while True:
        message = await socket.receive(timeout=_SECONDS)
        if message.type is not aiohttp.WSMsgType.TEXT:
            return socket.close_code or 0, said
        said.append(json.loads(message.data))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_SECONDS):
        while not holds():  # noqa: ASYNC110  # metrics of another thread's event loop
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("event-service")


async def test_a_client_that_falls_behind_what_is_kept_is_told_so(
    office: PostOffice, kafka: KafkaSettings, directory: Path
) -> None:
    with running_node(kafka, directory, history_size=_KEPT, slow_timeout=60, rebuild_records=0) as node:
        mine = await account(office)
        async with mine.socket(node) as socket:
            before = node.count("publications_total")
            await mine.deliver(_KEPT, _LARGE)
            first = await socket.receive_json(timeout=_SECONDS)
            for _ in range(7):
                await mine.deliver(_KEPT, _LARGE)
            await until(lambda: node.count("publications_total") >= before + 8 * _KEPT)
            code, following = await code_of(socket)
            said = [first, *following]
        assert code == event_service.MISSED
        numbers = [message["data"]["orderId"].rstrip("x") for message in said]
        assert numbers == [str(number % _KEPT) for number in range(len(said))]
        assert 0 < len(said) < 8 * _KEPT


async def test_a_client_that_takes_nothing_is_closed_and_the_others_get_theirs(
    office: PostOffice, kafka: KafkaSettings, directory: Path
) -> None:
    with running_node(kafka, directory, slow_timeout=0.3, rebuild_records=0) as node:
        mine, other = await account(office), await account(office)
        async with mine.socket(node) as _, other.socket(node) as reading:
            await mine.deliver(60, _LARGE)
            await other.deliver(1)
            assert (await reading.receive_json(timeout=_SECONDS))["data"] == {"orderId": "0"}
            await until(lambda: node.count("closed_total", code=str(event_service.SLOW)) == 1)
            await until(lambda: node.count("connections") == 1)


async def test_a_node_that_stops_says_that_it_goes(office: PostOffice, kafka: KafkaSettings, directory: Path) -> None:
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(running_node(kafka, directory, rebuild_records=0))
        mine = await account(office)
        async with mine.socket(node) as socket:
            await mine.deliver(1)
            shown = await socket.receive_json(timeout=_SECONDS)
            assert list(shown)[:3] == ["id", "date", "creationDate"]
            closing = asyncio.create_task(code_of(socket))
            await asyncio.to_thread(stack.close)
            assert await closing == (event_service.GOING_AWAY, [])


async def test_bytes_that_no_client_should_send_are_refused_and_not_logged(
    kafka: KafkaSettings, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cases = {
        (b"endpoint_id=x", b"Authorization: Bearer \xff\xfe"): b"401",
        (b"endpoint_id=x&access=%ff%00", b"Accept: */*"): b"400",
        (b"endpoint_id=x", b"Origin: http://[x"): b"403",
        # A name that its owner let lead here.
        (b"endpoint_id=x", b"Origin: http://x"): b"403",
        (b"endpoint_id=x&access=a-key-of-theirs&after=\xff", b"Accept: */*"): b"400",
    }
    answered = {}
    with running_node(kafka, directory, rebuild_records=0) as node:
        for query, header in cases:
            reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
            request = b"GET %b?%b HTTP/1.1\r\nHost: x\r\n" % (event_service.PATH.encode(), query)
            request += b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            writer.write(request + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n\r\n" % header)
            line = await asyncio.wait_for(reader.readline(), _SECONDS)
            answered[query, header] = line.split()[1]
            writer.close()
    assert answered == cases
    assert "a-key-of-theirs" not in caplog.text
    # Only the server's: the catalog of a shared broker holds poison of other tests, which its reader logs.
    logged = [record for record in caplog.records if record.name.startswith(("aiohttp", "connectors", "families"))]
    assert not [record for record in logged if record.levelname == "ERROR"]
