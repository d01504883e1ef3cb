"""``neighbours.route.*``: how long an event waits to be routed beside a workspace that makes routing expensive.

One workspace publishes twenty small events a second. Its time from publishing to the committed delivery is measured
alone, and again beside each kind of traffic of another workspace: p99 may be 100 ms more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.records import headers_of
from operations.bench.measure import Figure, percentile
from operations.bench.tenants import Tenant, gateway
from schemas.model import topics
from schemas.model.endpoint import EndpointType
from schemas.model.ids import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from operations.bench.rig import Rig
    from operations.bench.tenants import Gateway
    from schemas.model.event_type import EventType

ADDED = 0.1
"""Seconds that may come on top."""

_ALONE, _BESIDE = 5.0, 10.0
"""Seconds of measuring."""
_RATE = 20.0
"""Of the neighbour's events, a second."""
_TIMEOUT = 120.0
_LARGE = 950_000
"""Bytes of a large event's data: the largest may have a million."""

_TEXT = json.dumps({"a": "x" * _LARGE})
_TEXTS = json.dumps({"a": ["xy"] * (_LARGE // 6)})
_OBJECTS = json.dumps({"a": [{"k": "x"}] * (_LARGE // 12)})
_NUMBERS = json.dumps({"a": [1.25] * (_LARGE // 6)})


class Kind(NamedTuple):
    """One kind of expensive traffic: what is subscribed once, and what is published ``rate`` times a second."""

    name: str
    subscribe: Callable[[Tenant], Awaitable[object]]
    publish: Callable[[Tenant, int], Awaitable[object]]
    rate: float


class Moment(NamedTuple):
    """Seconds: by the clock, and of the router's processor time."""

    time: float
    used: float


class _Clock:
    """When the neighbour's deliveries were committed: a thread that reads them.

    What the router worked meanwhile is noted too. It tells what an event waited for on a machine that does much else.
    """

    def __init__(self, of: Gateway, endpoint: str, router: int) -> None:
        self.arrivals: dict[str, Moment] = {}
        self._router = router
        self._endpoint = endpoint.encode()
        self._consumer = BatchConsumer(of.kafka, group=None)
        partitions = self._consumer.partitions_of([topics.WEBHOOK_DELIVERIES])
        self._consumer.assign(self._consumer.end_offsets(partitions))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="neighbours-clock", daemon=True)
        self._thread.start()

    def now(self) -> Moment:
        """This moment."""
        used = sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{self._router}/task").glob("*/schedstat"))
        return Moment(time.perf_counter(), used / 1e9)

    def _read(self) -> None:
        while not self._stopping.is_set():
            messages = self._consumer.consume(1_000, 0.05)
            now = self.now()
            for message in messages:
                if message.key() == self._endpoint:
                    event = dict(headers_of(message))["hr_event"]
                    self.arrivals.setdefault(event.decode(), now)
        self._consumer.close()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()


def figures(rig: Rig) -> list[Figure]:
    """Every kind, one after the other."""
    return asyncio.run(_figures(rig))


async def _figures(rig: Rig) -> list[Figure]:
    found = []
    async with gateway(rig) as made:
        neighbour = Tenant(made, "neighbour")
        (kind,) = await neighbour.event_types("order")
        (endpoint,) = await neighbour.subscribe("order", of=EndpointType.WEB_HOOK)
        with rig.plane("router") as router:
            clock = _Clock(made, endpoint, router)
            try:
                await _paced(neighbour, kind, clock, 1.0)
                for hostile in _KINDS:
                    tenant = Tenant(made, f"hostile-{hostile.name}")
                    await hostile.subscribe(tenant)
                    await _paced(neighbour, kind, clock, 1.0)
                    alone = await _paced(neighbour, kind, clock, _ALONE)
                    async with _traffic(hostile, tenant):
                        beside = await _paced(neighbour, kind, clock, _BESIDE)
                    await tenant.leave()
                    found.append(_figure(hostile.name, alone, beside))
            finally:
                clock.stop()
    return found


async def _paced(tenant: Tenant, kind: EventType, clock: _Clock, seconds: float) -> list[Moment]:
    """Publish small events at a steady rate; what each took until its delivery was committed."""
    value = tenant.encoded(kind, '{"n": 1}')
    sent: dict[str, Moment] = {}
    started = time.perf_counter()
    posts = []
    for number in range(int(seconds * _RATE)):
        await asyncio.sleep(max(0.0, started + number / _RATE - time.perf_counter()))
        event = new_id()
        sent[event] = clock.now()
        posts.append(asyncio.create_task(tenant.publish(kind, value, event)))
    await asyncio.gather(*posts)
    deadline = time.perf_counter() + _TIMEOUT
    while sent.keys() - clock.arrivals.keys():
        if time.perf_counter() > deadline:
            raise TimeoutError("the neighbour's events are not routed")
        await asyncio.sleep(0.01)
    return [
        Moment(arrived.time - at.time, arrived.used - at.used)
        for at, arrived in ((at, clock.arrivals[event]) for event, at in sent.items())
    ]


@contextlib.asynccontextmanager
async def _traffic(hostile: Kind, tenant: Tenant) -> AsyncIterator[None]:
    """The hostile workspace's traffic, for the length of a with block."""

    async def publish() -> None:
        started = time.perf_counter()
        number = 0
        while True:
            await hostile.publish(tenant, number)
            number += 1
            await asyncio.sleep(max(0.0, started + number / hostile.rate - time.perf_counter()))

    publishing = asyncio.create_task(publish())
    try:
        yield
    finally:
        publishing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await publishing


def _figure(name: str, alone: Sequence[Moment], beside: Sequence[Moment]) -> Figure:
    before, after = (percentile([each.time for each in measured], 0.99) for measured in (alone, beside))
    added = [_added(alone, beside, share) for share in (0.5, 0.99)]
    return Figure(
        stage=f"neighbours.route.{name}",
        value=after * 1_000,
        unit="ms p99",
        yardstick=before * 1_000,
        ratio=before / after,
        goal=before / (before + ADDED),
        against="alone",
        wall="added p50, p99: {:,.0f}, {:,.0f} ms; of the router's CPU {:,.0f}, {:,.0f} ms".format(
            *(1_000 * each.time for each in added), *(1_000 * each.used for each in added)
        ),
    )


def _added(alone: Sequence[Moment], beside: Sequence[Moment], share: float) -> Moment:
    (time_before, used_before), (time_after, used_after) = (
        (percentile([each.time for each in measured], share), percentile([each.used for each in measured], share))
        for measured in (alone, beside)
    )
    return Moment(time_after - time_before, used_after - used_before)


def _events(
    name: str,
    rate: float,
    data: str,
    *subscriptions: tuple[int, str | None],
    of: EndpointType = EndpointType.FILE,
    ordered: bool = False,
    at_once: int = 1,
) -> Kind:
    """Events of one type, for so many endpoints by each condition."""
    published: dict[str, tuple[EventType, bytes]] = {}

    async def subscribe(tenant: Tenant) -> None:
        (kind,) = await tenant.event_types("event")
        published[tenant.name] = kind, tenant.encoded(kind, data)
        for endpoints, condition in subscriptions:
            await tenant.subscribe("event", endpoints, of=of, condition=condition, ordered=ordered)

    async def publish(tenant: Tenant, _: int) -> None:
        kind, value = published[tenant.name]
        await tenant.publish(kind, value, *(new_id() for _ in range(at_once)))

    return Kind(name, subscribe, publish, rate)


def _many_types(name: str, types: int, rate: float) -> Kind:
    """An event of every one of many types at a time."""
    kinds: list[EventType] = []

    async def subscribe(tenant: Tenant) -> None:
        codes = [f"type-{number}" for number in range(types)]
        kinds.extend(await tenant.event_types(*codes))
        await tenant.subscribe("*", 10)

    async def publish(tenant: Tenant, _: int) -> None:
        value = tenant.encoded(kinds[0], "{}")
        await asyncio.gather(*(tenant.publish(kind, value, new_id()) for kind in kinds))

    return Kind(name, subscribe, publish, rate)


def _changing_types(name: str, crowd: int, rate: float) -> Kind:
    """Event types that come with a subscription each, beside very many that are there."""

    async def subscribe(tenant: Tenant) -> None:
        await tenant.event_types("there")
        await tenant.subscribe("there", crowd, condition='{"data": {"a": ["nobody"]}}')

    async def publish(tenant: Tenant, number: int) -> None:
        (kind,) = await tenant.event_types(f"new-{number}")
        await tenant.subscribe(kind.code)
        await tenant.publish(kind, tenant.encoded(kind, "{}"), new_id())

    return Kind(name, subscribe, publish, rate)


_SUFFIX = '{"data": {"a": [{"suffix": "q"}]}}'
_SUFFIXES = json.dumps({"data": {"a": [{"suffix": f"q{number}"} for number in range(5)]}})
"""Over the budget with a large array."""
_KINDS = (
    _events("wide", 1.0, _TEXT, (140, None)),
    _events("texts", 4.0, _TEXTS, (2, _SUFFIX), (1, '{"data": {"a": ["q"]}}')),
    _events(
        "objects",
        4.0,
        _OBJECTS,
        (2, '{"data": {"a": {"k": [{"suffix": "q"}]}}}'),
        (1, '{"data": {"a": {"k": ["q"]}}}'),
    ),
    _events("numbers", 4.0, _NUMBERS, (2, '{"data": {"a": [{"numeric": [">", 5]}]}}'), (1, '{"data": {"a": [5]}}')),
    _events("many", 1.0, '{"a": 1}', (1, None), at_once=5_000),
    _events("crowd", 2.0, '{"a": "xq"}', (5_000, _SUFFIX)),
    _events("dead", 1.0, _TEXTS, (130, _SUFFIXES)),
    _events("groups", 1.0, _TEXT, (500, None), of=EndpointType.WEB_HOOK, ordered=True, at_once=10),
    _many_types("types", 300, 1.0),
    _changing_types("changes", 5_000, 3.0),
)
