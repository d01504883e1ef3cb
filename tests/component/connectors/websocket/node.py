"""A realtime node on a thread of its own, raw clients of it, and deliveries to their channels."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import uuid
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt
import msgspec
import uvloop
from prometheus_client import CollectorRegistry

from backbone.process.settings import BackboneSettings
from backbone.realtime_tokens import AUDIENCE
from connectors.websocket.metrics import RealtimeMetrics
from connectors.websocket.settings import RealtimeSettings
from processes.settings import ConnectorSettings
from processes.websocket import serve_realtime
from schemas.model import topics
from schemas.model.channels import channel_key
from tests.support.running_gateway import SECRET_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backbone.kafka.records import Record
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.endpoint import Endpoint
    from tests.component.connectors.post_office import PostOffice

TOKEN_SECRET = "a token secret of more than thirty-two bytes"
_SECONDS = 60


class RunningNode:
    """Where it is, and what it counts."""

    def __init__(self, port: int, registry: CollectorRegistry) -> None:
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/connection/websocket"
        self.registry = registry

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"headrace_realtime_{name}", labels) or 0.0


@contextlib.contextmanager
def running_node(kafka: KafkaSettings, directory: Path, **settings: Any) -> Iterator[RunningNode]:
    """Runs until the end of the with block; ``settings`` are the node's."""
    registry = CollectorRegistry()
    every = ConnectorSettings(
        kafka=kafka,
        backbone=BackboneSettings(data_dir=directory, token_secret=TOKEN_SECRET, secret_keys=(SECRET_KEYS,)),
        realtime=RealtimeSettings(**{"port": 0, **settings}),
    )
    ready, ended = threading.Event(), threading.Event()
    ports: list[int] = []
    failures: list[BaseException] = []
    # As the process has: what asyncio's own sockets forgive, uvloop's do not.
    loop = uvloop.new_event_loop()
    stopping = asyncio.Event()

    def on_ready(port: int) -> None:
        ports.append(port)
        ready.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(serve_realtime(every, stopping, on_ready, RealtimeMetrics(registry)))
            loop.run_until_complete(loop.shutdown_default_executor())
        except BaseException as error:  # noqa: BLE001  # shown by the test that needs the node
            failures.append(error)
        finally:
            loop.close()
            ended.set()
            ready.set()

    threading.Thread(target=run, daemon=True).start()
    assert ready.wait(120)
    assert failures == []
    try:
        yield RunningNode(ports[0], registry)
    finally:
        if not ended.is_set():
            loop.call_soon_threadsafe(stopping.set)
        assert ended.wait(120)
    assert failures == []


def token(**claims: Any) -> str:
    """A connection token of user ``u1``, unless the claims say otherwise."""
    return jwt.encode({"sub": "u1", "aud": AUDIENCE, **claims}, TOKEN_SECRET, algorithm="HS256")


def channel_token(channel: str, **claims: Any) -> str:
    """A subscription token of user ``u1``, unless the claims say otherwise."""
    return token(channel=channel, **claims)


class RawClient:
    """Says what the test says, and hands out what the server says, message by message."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._lines: list[Any] = []
        self._id = 0

    async def say(self, *commands: dict[str, Any]) -> None:
        """Commands in one frame."""
        await self.socket.send_str("\n".join(json.dumps(command) for command in commands))

    async def ask(self, **command: Any) -> Any:
        """The reply to a command, and nothing before it."""
        self._id += 1
        await self.say({"id": self._id, **command})
        answer = await self.next()
        assert answer["id"] == self._id, answer
        return answer

    def abort(self) -> None:
        """Cut the connection without a word."""
        self.socket.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    async def next(self) -> Any:
        """The next message that is no ping; those are answered."""
        while True:
            while not self._lines:
                message = await self.socket.receive(timeout=_SECONDS)
                assert message.type is aiohttp.WSMsgType.TEXT, message
                self._lines = [json.loads(line) for line in message.data.split("\n")]
            found = self._lines.pop(0)
            if found:
                return found
            await self.socket.send_str("{}")

    async def publications(self, count: int) -> list[Any]:
        """The next pushes, which must be publications."""
        return [(await self.next())["push"]["pub"] for _ in range(count)]

    async def closed(self) -> tuple[int, str]:
        """Close code and reason, after whatever is still said."""
        while True:
            message = await self.socket.receive(timeout=_SECONDS)
            if message.type is aiohttp.WSMsgType.CLOSE:
                return message.data, message.extra or ""
            assert message.type is aiohttp.WSMsgType.TEXT, message


class Clients:
    """Connects raw clients, for as long as a test runs."""

    def __init__(self, url: str, stack: contextlib.AsyncExitStack) -> None:
        self._url = url
        self._stack = stack

    async def open(self, **options: Any) -> RawClient:
        """A socket on which nothing was said yet."""
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        return RawClient(await self._stack.enter_async_context(session.ws_connect(self._url, **options)))

    async def connect(self, **claims: Any) -> RawClient:
        """A client that has connected."""
        client = await self.open()
        answer = await client.ask(connect={"token": token(**claims)})
        assert "connect" in answer, answer
        return client

    async def subscribe(self, channel: str, **position: Any) -> tuple[RawClient, Any]:
        """A client of a channel, and the result of its subscribe command."""
        client = await self.connect()
        answer = await client.ask(subscribe={"channel": channel, "token": channel_token(channel), **position})
        return client, answer["subscribe"]


def publications(
    office: PostOffice, endpoint: Endpoint, channel: str, numbers: range, workspace: str = "default"
) -> list[Record]:
    """Deliveries with ``orderId`` 1, 2, 3, … to a channel."""
    key = channel_key(workspace, channel)
    return [
        msgspec.structs.replace(
            office.delivery(endpoint, data=b'{"orderId":"%d","total":1.50}' % number),
            topic=topics.WEBSOCKET_DELIVERIES,
            key=key,
        )
        for number in numbers
    ]


async def publish(office: PostOffice, endpoint: Endpoint, channel: str, numbers: range) -> None:
    """Deliver, acknowledged."""
    await office.producer.send(publications(office, endpoint, channel, numbers))


def order_ids(found: list[Any]) -> list[int]:
    return [int(publication["data"]["data"]["orderId"]) for publication in found]


def some_channel() -> str:
    return f"orders-{uuid.uuid4()}"


async def position(clients: Clients, channel: str, top: int) -> dict[str, Any]:
    """Where the channel stands, once it has come so far."""
    while True:
        client, result = await clients.subscribe(channel)
        await client.socket.close()
        if result.get("offset", 0) >= top:
            return {"epoch": result["epoch"], "offset": result["offset"]}
