"""What is published directly is answered and written as the route's handler would have it, to the byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from backbone.catalog.audit import ACTOR
from backbone.kafka.records import Ack, Record
from backbone.publishing.publisher import Publisher
from backbone.workspace_queue import WORKSPACE
from families.http import families
from ingest_api.app import create_app
from ingest_api.http_limits import BoundedConnection
from schemas.model import timestamps
from schemas.model.errors import NotAcknowledged, QueueFull
from tests.support.connections import connected
from tests.support.local_gateway import LocalGateway, local_gateway

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ingest_api.request_ids import RequestIds

NOW = 1_700_000_000_123_000
USUAL = {
    "specversion": "1.0",
    "type": "T",
    "source": "/s",
    "subject": "x",
    "time": "2026-03-04T16:36:54.591Z",
    "datacontenttype": "application/json",
    "data": {"region": "eu", "amount": 12.5},
}
TYPES = ("T", "Open", "Keyed", "None", "other/T", "T", "T", "Open")
ODD: tuple[Any, ...] = (
    "",
    "a b",
    "\u0007",
    "é",
    "1.0",
    1,
    -0.0,
    1e30,
    None,
    True,
    [],
    {"a": [1]},
    "x" * 600,
    "2026-13-01",
)
MEMBERS = (*USUAL, "channel", "traceparent", "dataschema", "data_base64", "myext", "clientid", "Bad-Name")


class Kafka:
    """Acknowledges each record, or fails as it is told."""

    wait = 4.0

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.error: Exception | None = None
        self.refuses = False

    def send(self, records: Sequence[Record], **_: object) -> asyncio.Future[list[Ack]]:
        """Its acknowledgement, a little later."""
        if self.refuses:
            raise QueueFull("full")
        self.records += records
        future: asyncio.Future[list[Ack]] = asyncio.get_running_loop().create_future()
        if self.error is None:
            future.set_result([Ack(1, 7 + index) for index in range(len(records))])
        else:
            future.set_exception(self.error)
        return future


class World:
    """One gateway behind two apps: one publishes directly where it can, the other never does."""

    def __init__(self, local: LocalGateway, kafka: Kafka, key: str) -> None:
        gateway = local.gateway
        self.gateway, self.kafka, self.key, self.taken = gateway, kafka, key, 0
        self._apps = [create_app(gateway, families(()), contextlib.nullcontext) for _ in range(2)]
        self._apps[1].direct = None
        assert self._apps[0].direct is not None
        self._begin = self._apps[0].direct.begin
        self._apps[0].direct.begin = self._counted  # type: ignore[method-assign]  # to know what went which way

    def _counted(self, cycle: Any) -> bool:
        taken = self._begin(cycle)
        self.taken += taken
        return taken

    async def both(self, request: bytes, *, parts: int = 1) -> tuple[list[tuple[bytes, bool]], list[list[Record]]]:
        """The answers of both apps to a request that comes in parts, and what each has written."""
        answers, written = [], []
        for app in self._apps:
            self.kafka.records = []
            answers.append(await self._answer(app, request, parts))
            written.append(self.kafka.records)
        return answers, written

    async def same(self, request: bytes, *, parts: int = 1) -> bytes:
        """The answer of both, which have written the same."""
        answers, written = await self.both(request, parts=parts)
        assert answers[0] == answers[1], request
        assert written[0] == written[1], request
        return answers[0][0]

    async def _answer(self, app: RequestIds, request: bytes, parts: int) -> tuple[bytes, bool]:
        connection, transport = connected(BoundedConnection, app)
        size = -(-len(request) // parts)
        for at in range(0, len(request), size):
            connection.data_received(request[at : at + size])
        for _ in range(200):
            if connection.cycle is not None and connection.cycle.response_complete:
                break
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return b"".join(transport.writes), transport.closed


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    local = await local_gateway(tmp_path, monkeypatch).begin()
    _, key = await local.new_client(await local.workspace(), "producer")
    typed = [{"name": "region", "type": "String"}, {"name": "amount", "type": "Number", "required": True}]
    async with local.client(key) as http:
        for members in (
            {"code": "T", "attributes": typed},
            {"code": "Keyed", "attributes": typed, "partition_key": "data.region"},
            {"code": "Open", "open": True},
        ):
            (await http.post("/headrace/v1/registrations", json=members)).raise_for_status()
    gateway, kafka = local.gateway, Kafka()
    gateway.publisher = Publisher(gateway.catalog, kafka, gateway.clients.idempotency, slices=gateway.slices)  # type: ignore[arg-type]
    gateway.clients.producer.wait = kafka.wait
    monkeypatch.setattr(timestamps, "now", lambda: NOW)
    monkeypatch.setattr("backbone.publishing.publisher.new_ids", lambda count: [f"id-{at}" for at in range(count)])
    made = World(local, kafka, key)
    for code in TYPES[:3]:  # what is asked for first is looked for, and is not usual yet
        await made.both(request(key, USUAL | {"type": code}))
    made.taken = 0
    return made


def request(key: str, event: object, *headers: str, media_type: str = "application/cloudevents+json") -> bytes:
    return raw(key, json.dumps(event).encode(), *headers, media_type=media_type)


def raw(key: str, body: bytes, *headers: str, media_type: str = "application/cloudevents+json") -> bytes:
    lines = (
        "POST /headrace/v1/events HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {key}",
        f"Content-Type: {media_type}",
        f"Content-Length: {len(body)}",
        "X-Request-Id: r-1",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode() + body


async def test_the_usual_event_is_published_directly(world: World) -> None:
    answer = await world.same(request(world.key, USUAL))
    assert answer.startswith(b"HTTP/1.1 201 Created\r\ndate: today\r\ncontent-type: application/json\r\n")
    assert world.taken == 1


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_comes_is_answered_and_written_alike(world: World, seed: int) -> None:
    draw = random.Random(seed)
    statuses = set()
    for _ in range(150):
        statuses.add((await world.same(_drawn(draw, world.key), parts=draw.choice((1, 1, 1, 2))))[9:12])
    assert world.taken > 10
    assert statuses > {b"201", b"400"}


@pytest.mark.parametrize("seed", range(2))
async def test_pipelined_requests_are_answered_each_in_order(
    world: World, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Whichever of them are declined, or not offered because an earlier one of the connection was declined."""
    monkeypatch.setattr("ingest_api.http_cycle._NOT_OFFERED", 2)
    draw = random.Random(seed)
    odd: tuple[dict[str, Any], ...] = ({}, {}, {"type": "Keyed"}, {"type": 1})
    events = [USUAL | {"subject": f"s-{at}"} | draw.choice(odd) for at in range(60)]
    requests = [
        request(world.key, event).replace(b"X-Request-Id: r-1", f"X-Request-Id: r-{at}".encode())
        for at, event in enumerate(events)
    ]
    connections, answered = [connected(BoundedConnection, app) for app in world._apps], []
    for connection, transport in connections:
        world.kafka.records, left = [], list(requests)
        while left:
            together, left = left[: (size := draw.choice((1, 2, 3, 20)))], left[size:]
            connection.data_received(b"".join(together))
            for _ in range(2_000):
                if b"".join(transport.writes).count(b"x-request-id") == len(requests) - len(left):
                    break
                await asyncio.sleep(0)
        answered.append((b"".join(transport.writes), len(world.kafka.records)))
        connection.connection_lost(None)
    assert answered[0] == answered[1]
    ids = re.findall(rb"x-request-id: r-(\d+)\r\n", answered[0][0])
    assert [int(each) for each in ids] == list(range(len(requests)))
    assert world.taken > 2


def _drawn(draw: random.Random, key: str) -> bytes:
    """A request that is usual but for some of its parts."""
    event: dict[str, Any] = USUAL | {"type": draw.choice(TYPES)}
    for _ in range(draw.choice((0, 0, 1, 2))):
        name = draw.choice(MEMBERS)
        if draw.random() < 0.3:
            event.pop(name, None)
        else:
            event[name] = draw.choice(ODD)
    if draw.random() < 0.3:
        event["data"] = {draw.choice(("region", "amount", "else")): draw.choice(ODD), "amount": draw.choice(ODD)}
    body = json.dumps(event, ensure_ascii=draw.random() < 0.5).encode()
    if draw.random() < 0.1:
        at = draw.randrange(len(body))
        body = body[:at] + draw.choice((b"\xff", b"\\ud800", b"\0", b"{", b" ")) + body[at + 1 :]
    media_type = draw.choice(("application/cloudevents+json",) * 8 + ("application/json", "text/plain", ""))
    media_type += draw.choice(("",) * 6 + ("; charset=utf-8", "; charset=latin-1"))
    others = ("Origin: https://a.example", "traceparent: 00-1-2-03", "Content-Encoding: gzip", "Connection: close")
    return raw(
        draw.choice((key,) * 9 + ("wrong",)),
        body,
        *draw.sample(others, draw.choice((0, 0, 0, 1))),
        media_type=media_type,
    )


@pytest.mark.parametrize("refuses", [True, False])
async def test_what_kafka_does_not_take_is_refused_alike(world: World, *, refuses: bool) -> None:
    world.kafka.refuses = refuses
    world.kafka.error = NotAcknowledged("late")
    answer = await world.same(request(world.key, USUAL))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert world.taken == 1


@pytest.mark.parametrize("is_written", [True, False])
async def test_a_bug_is_told_as_one(world: World, monkeypatch: pytest.MonkeyPatch, *, is_written: bool) -> None:
    if is_written:
        monkeypatch.setattr(world.gateway, "count_published", lambda *_: 1 / 0)
    else:
        world.kafka.error = ZeroDivisionError("inside")
    assert (await world.same(request(world.key, USUAL))).startswith(b"HTTP/1.1 500 ")
    assert world.taken == 1


async def test_the_first_of_two_request_ids_counts(world: World) -> None:
    assert b"x-request-id: r-1\r\n" in await world.same(request(world.key, USUAL, "X-Request-Id: r-2"))


async def test_an_idle_connection_does_not_keep_the_event(world: World) -> None:
    connection, transport = connected(BoundedConnection, world._apps[0])
    connection.data_received(request(world.key, USUAL))
    await asyncio.sleep(0)
    assert transport.writes[0].startswith(b"HTTP/1.1 201 ")
    assert not connection.cycle.body


async def test_a_server_that_stops_closes_the_connection_after_its_answer(world: World) -> None:
    app = world._apps[0]
    connection, transport = connected(BoundedConnection, app)
    connection.data_received(request(world.key, USUAL))
    connection.shutdown()
    for _ in range(20):
        await asyncio.sleep(0)
    assert (transport.writes[0].startswith(b"HTTP/1.1 201 "), transport.closed) == (True, True)
    assert b"connection: close" in b"".join(transport.writes)


async def test_what_was_set_for_one_request_is_not_set_for_the_next(world: World) -> None:
    before = (ACTOR.get(None), WORKSPACE.get())
    connection, _ = connected(BoundedConnection, world._apps[0])
    connection.data_received(request(world.key, USUAL))
    assert world.taken == 1
    assert (ACTOR.get(None), WORKSPACE.get()) == before
