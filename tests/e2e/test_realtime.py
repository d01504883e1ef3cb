"""A stream through the official client across restarts of the realtime node: through HTTP, Kafka, router and socket."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from centrifuge import Client, PublicationContext, SubscribedContext, SubscriptionEventHandler

from backbone.process.readiness import READY_FILE
from operations.supervisor.ports import free_port
from tests.support.fork_server import Forked
from tests.support.running_gateway import ADMIN_KEY, SECRET_KEYS, TOKEN_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.running_gateway import RunningGateway

EVENTS = 3_000
_BATCH = 20
_SECONDS = 120


async def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {_SECONDS} s: {what}"
        await asyncio.sleep(0.02)


class Node:
    """``headrace connector websocket``, killed and started again on the same port."""

    def __init__(self, gateway: RunningGateway, directory: Path) -> None:
        self._ready = directory / "ready"
        self._log = directory / "node.log"
        self._port = free_port()
        self.url = f"ws://127.0.0.1:{self._port}/connection/websocket"
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "KAFKA_BOOTSTRAP_SERVERS": gateway.bootstrap,
            "HEADRACE_DATA_DIR": str(directory),
            "HEADRACE_TOKEN_SECRET": TOKEN_SECRET,
            "HEADRACE_SECRET_KEYS": SECRET_KEYS,
            "HEADRACE_REALTIME_PORT": str(self._port),
            "HEADRACE_REALTIME_POSITIONS_INTERVAL": "0.5",
            READY_FILE: str(self._ready),
        }

    async def start(self) -> None:
        self._ready.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self.process = Forked("-m", "operations", "connector", "websocket", env=self._environment, stderr=log)
        await until(lambda: self._ready.exists() or self.process.poll() is not None, "the node is ready")
        assert self.process.poll() is None, self._log.read_text()[-4_000:]

    async def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        await asyncio.to_thread(self.process.wait, _SECONDS)


@pytest.fixture
def node(gateway: RunningGateway, tmp_path: Path) -> Iterator[Node]:
    made = Node(gateway, tmp_path)
    yield made
    # The test has ended it, unless it failed.
    made.process.kill()
    made.process.wait()


class Listener(SubscriptionEventHandler):
    """Notes what arrives."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.numbers: list[int] = []
        self.subscribed: list[SubscribedContext] = []

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        self.subscribed.append(ctx)

    async def on_publication(self, ctx: PublicationContext) -> None:
        self.offsets.append(ctx.pub.offset)
        self.numbers.append(ctx.pub.data["data"]["number"])


async def set_up(api: httpx.AsyncClient, code: str, options: dict[str, str] | None = None) -> str:
    """An event type and a WebSocket endpoint that gets its events; the endpoint's id."""

    async def make(path: str, **body: Any) -> Any:
        return (await api.post(f"/headrace/v1/{path}", json=body)).raise_for_status().json()

    attributes = [{"name": "number", "type": "integer"}]
    # Keyed by nothing that varies, the events keep their order.
    await make("event-types", namespace="events", code=code, attributes=attributes, partitions=1)
    endpoint = await make("endpoints", name="screen", type="WEB_SOCKET", options=options or {})
    chosen = await make("filters", name="all", types=[{"namespace": "events", "code": code}])
    await make("subscriptions", filter=chosen["id"], endpoint=endpoint["id"])
    return str(endpoint["id"])


async def publish(api: httpx.AsyncClient, code: str, numbers: range) -> None:
    events = [
        {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "test", "type": code, "data": {"number": number}}
        for number in numbers
    ]
    answer = await api.post(
        "/headrace/v1/events", json=events, headers={"Content-Type": "application/cloudevents-batch+json"}
    )
    answer.raise_for_status()


async def test_the_official_client_misses_nothing_across_restarts(
    gateway: RunningGateway, processors: None, node: Node
) -> None:
    code = f"Tick{uuid.uuid4().hex}"
    await node.start()
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=30) as api:
        channel = f"endpoint:{await set_up(api, code)}"

        async def connection_token(*_: object) -> str:
            answer = await api.post("/headrace/v1/realtime/connection-token", json={})
            return str(answer.raise_for_status().json()["token"])

        async def subscription_token(*_: object) -> str:
            answer = await api.post("/headrace/v1/realtime/subscription-token", json={"channel": channel})
            return str(answer.raise_for_status().json()["token"])

        listener = Listener()
        client = Client(node.url, get_token=connection_token, min_reconnect_delay=0.05, max_reconnect_delay=0.2)
        subscription = client.new_subscription(channel, listener, get_token=subscription_token)
        await client.connect()
        await subscription.subscribe()
        await subscription.ready(_SECONDS)

        async def publish_all(numbers: range) -> None:
            for first in range(numbers.start, numbers.stop, _BATCH):
                await publish(api, code, range(first, first + _BATCH))

        for restart, number in enumerate((signal.SIGTERM, signal.SIGKILL)):
            # Each end strikes in the middle of events of its own, however fast those of the one before came.
            share = range(restart * EVENTS // 2, (restart + 1) * EVENTS // 2)
            publishing = asyncio.create_task(publish_all(share))
            await until(lambda least=share.start + EVENTS // 20: len(listener.numbers) > least, "publications arrive")
            await node.end(number)
            await node.start()
            await publishing
            await until(lambda least=restart + 1: len(listener.subscribed) > least, "the client is back")
        await until(lambda: len(listener.numbers) >= EVENTS, "all publications arrive")
        await client.disconnect()
    await node.end(signal.SIGTERM)
    assert listener.offsets == list(range(1, EVENTS + 1))
    assert listener.numbers == list(range(EVENTS))
    assert [each.recovered for each in listener.subscribed[1:]] == [True] * (len(listener.subscribed) - 1)
    assert len(listener.subscribed) >= 3
    assert node.process.returncode == 0
