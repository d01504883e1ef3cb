"""A topic grows from 3 to 12 partitions while several processes publish: nothing is lost, nothing overtakes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from backbone.catalog.writer import CatalogWriter
from backbone.kafka.our_groups import OurGroups
from backbone.kafka.records import header_list, partition_for
from backbone.operations.draining import Draining
from backbone.operations.growth_driver import GrowthDriver
from backbone.operations.growths import Growths
from backbone.publishing import type_lease
from schemas.model import topics
from schemas.model.access import Role
from schemas.model.delivery import read_delivery
from schemas.model.errors import Conflict, Frozen, Unavailable
from schemas.model.event import EventDraft
from schemas.model.growth import Growth, GrowthOrder, GrowthState
from tests.support.fork_server import Forked
from tests.support.records import records_of
from tests.support.running_installation import run_processors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from backbone.catalog.view import CatalogView
    from backbone.kafka.admin import Admin
    from backbone.kafka.records import Partition
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.event_type import EventType
    from tests.component.backbone.conftest import Tenant, Worker, WorkerFactory
    from tests.support.running_gateway import RunningGateway

LEASE = 4.0
LONGEST = 300


@pytest.fixture
def kafka(kafka: KafkaSettings) -> KafkaSettings:
    return kafka.model_copy(update={"type_lease": LEASE, "delivery_timeout": 5.0})


class Watched(Draining):
    """Tells the test where the former partitions end, and who is behind each time that it is asked."""

    def __init__(self, admin: Admin) -> None:
        super().__init__(admin, OurGroups())
        self.former: dict[Partition, int] = {}
        self.behind_then: list[dict[str, int]] = []

    def ends(self, growth: Growth) -> dict[Partition, int]:
        self.former = super().ends(growth)
        return self.former

    def behind(self, view: CatalogView, event_type: EventType, ends: Mapping[Partition, int]) -> dict[str, int]:
        assert ends == self.former
        self.behind_then.append(super().behind(view, event_type, ends))
        return self.behind_then[-1]


class Place:
    """A type with three partitions, and two processes that carry growths on."""

    def __init__(self, tenant: Tenant, topic: str, workers: list[Worker], growths: list[Growths]) -> None:
        self.tenant = tenant
        self.topic = topic
        self.workers = workers
        self.growths = growths

    def growth(self) -> Growth:
        found = self.workers[0].catalog.view.growth(self.topic)
        assert found is not None
        return found

    def draft(self, client: Any, key: str) -> EventDraft:
        return EventDraft(**self.members(client, key) | {"data": json.dumps({"key": key}).encode()})

    def members(self, client: Any, key: str) -> dict[str, Any]:
        return {
            "workspace": self.tenant.workspace,
            "namespace": "events",
            "code": "Offer",
            "client": client.id,
            "publisher": client.unique_id,
            "data": json.dumps({"key": key}),
        }


@pytest.fixture
async def place(
    tenant: Tenant, worker: Worker, worker_factory: WorkerFactory, kafka: KafkaSettings, admin: Admin
) -> AsyncIterator[Place]:
    event_type, _ = await tenant.event_types.register(
        None, tenant.workspace, "events", "Offer", open=True, partition_key="data.key", partitions=3
    )
    workers = [worker, await worker_factory()]
    writers = [CatalogWriter(each.catalog, kafka, timeout=30) for each in workers]
    for writer in writers:
        writer.start()
    growths = [Growths(each.catalog, writer, admin) for each, writer in zip(workers, writers, strict=True)]
    yield Place(tenant, event_type.topic, workers, growths)
    for writer in writers:
        await asyncio.to_thread(writer.stop)


class Load:
    """Publishers in this process, each of one key, and one in a process of its own that can be stopped."""

    def __init__(self, place: Place, client: Any, kafka: KafkaSettings, log: Path) -> None:
        self.accepted: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.refused: list[Frozen] = []
        self.moving = next(key for key in map(str, range(50)) if partition_for(key.encode(), 12) > 2)
        """The key of the other process goes to another partition."""
        self._place = place
        self._client = client
        self._log = log
        self._stopping = asyncio.Event()
        names = ("bootstrap_servers", "type_lease", "delivery_timeout")
        settings = json.dumps({name: getattr(kafka, name) for name in names})
        members = json.dumps(place.members(client, self.moving))
        with log.open("w") as output:
            command = ("-m", "tests.component.backbone.publisher_process", settings, members)
            self.other = Forked(*command, stdout=output)
        self._tasks = [
            asyncio.create_task(self._publish(place.workers[number % 2], f"key-{number}")) for number in range(6)
        ]

    async def _publish(self, worker: Worker, key: str) -> None:
        while not self._stopping.is_set():
            try:
                (receipt,) = await worker.publisher.publish([self._place.draft(self._client, key)])
                self.accepted[key].append((receipt.partition, receipt.offset))
            except Frozen as error:
                self.refused.append(error)
                await asyncio.sleep(0.1)
            except Unavailable:
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.005)

    def total(self) -> int:
        """How many events were accepted in this process."""
        return sum(map(len, self.accepted.values()))

    def lines(self) -> list[str]:
        """What the other process has told."""
        return self._log.read_text().splitlines()

    async def stop(self) -> None:
        """End all, and take in what the other process was told."""
        self._stopping.set()
        self.other.kill()
        self.other.wait()
        await asyncio.gather(*self._tasks)
        places = [line.split() for line in self.lines()]
        self.accepted[self.moving] = [(int(each[0]), int(each[1])) for each in places if len(each) == 2]


@pytest.fixture
def short_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so that the test is shorter."""
    monkeypatch.setattr(type_lease, "LIBRDKAFKA_TIMEOUT_AFTER", 2.0)


@pytest.fixture
def routed(gateway: RunningGateway) -> Iterator[None]:
    """A router, for no longer than the test: those after it strike routers of their own."""
    yield from run_processors(gateway)


@pytest.fixture
def endpoint(place: Place, gateway: RunningGateway, routed: None) -> str:
    """An endpoint that is subscribed to the type, so that the router reads its topic."""
    with gateway.client(params={"workspace": place.tenant.workspace}) as http:

        def make(path: str, **body: Any) -> str:
            made: str = http.post(f"/headrace/v1/{path}", json=body).raise_for_status().json()["id"]
            return made

        made = make("endpoints", name="files", type="FILE")
        make("subscriptions", filter=make("filters", name="all", types=[{"code": "Offer"}]), endpoint=made)
    return made


@pytest.mark.usefixtures("short_freeze")
async def test_a_topic_grows_in_order_under_load(
    place: Place, endpoint: str, kafka: KafkaSettings, admin: Admin, tmp_path: Path
) -> None:
    client = await place.tenant.client(Role.ADMIN)
    draining = Watched(admin)
    drivers = [
        asyncio.create_task(GrowthDriver(each.catalog, growths, draining, kafka).run())
        for each, growths in zip(place.workers, place.growths, strict=True)
    ]
    load = Load(place, client, kafka, tmp_path / "other")
    try:
        await until(lambda: len(load.lines()) > 20 and len(load.accepted) == 6)
        os.kill(load.other.pid, signal.SIGSTOP)
        begun = await asyncio.gather(
            *(growths.begin(place.topic, 12, GrowthOrder.KEEP, client.id) for growths in place.growths)
        )
        assert begun[0] == begun[1]  # two operators begin one growth
        with pytest.raises(Conflict):
            await place.growths[0].begin(place.topic, 9, GrowthOrder.KEEP, client.id)
        drivers[0].cancel()  # a process that carried it on is gone
        await until(lambda: place.growth().is_ended)
        before = load.total()
        await until(lambda: load.total() > before + 60)
        seen = len(load.lines())
        os.kill(load.other.pid, signal.SIGCONT)
        await until(lambda: len(load.lines()) > seen + 20)
    finally:
        await load.stop()
        for driver in drivers:
            driver.cancel()

    assert (place.growth().state, load.refused != []) == (GrowthState.DONE, True)
    for key, places in load.accepted.items():
        check_order(key, places, draining.former, place.topic)
    written = await admin.end_offsets((place.topic, number) for number in range(12))
    assert sum(written.values()) >= load.total()
    assert draining.behind_then[-1] == {}
    check_deliveries(load, await delivered(kafka.bootstrap_servers, endpoint, sum(written.values())))


async def delivered(bootstrap: str, endpoint: str, count: int) -> list[tuple[int, int]]:
    """Where the events of an endpoint's deliveries are, in the order of the deliveries, once there are so many."""
    async with asyncio.timeout(LONGEST):
        while True:
            records = await asyncio.to_thread(records_of, bootstrap, topics.FILE_DELIVERIES)
            sources = [read_delivery(header_list(each)).source for each in records if each.key() == endpoint.encode()]
            if len(sources) >= count:
                return [(each.partition, each.offset) for each in sources]
            await asyncio.sleep(0.5)


def check_deliveries(load: Load, found: list[tuple[int, int]]) -> None:
    """Each event is delivered once, those of a key in the order in which they were published."""
    assert len(set(found)) == len(found)
    for places in load.accepted.values():
        wanted = set(places)
        assert [each for each in found if each in wanted] == places


def check_order(key: str, places: list[tuple[int, int]], ends: Mapping[Partition, int], topic: str) -> None:
    """All of before in the former partition, before its end, and then all in the new one."""
    old, new = partition_for(key.encode(), 3), partition_for(key.encode(), 12)
    partitions = [partition for partition, _ in places]
    turn = partitions.index(new) if new != old else len(partitions)
    assert partitions == [old] * turn + [new] * (len(partitions) - turn)
    assert new == old or all(offset < ends[topic, old] for _, offset in places[:turn])
    offsets = [offset for _, offset in places]
    assert offsets[:turn] == sorted(offsets[:turn])
    assert offsets[turn:] == sorted(offsets[turn:])


async def test_a_growth_is_rolled_back_when_a_group_does_not_read_on(
    place: Place, kafka: KafkaSettings, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type_lease, "LIBRDKAFKA_TIMEOUT_AFTER", 0.0)
    monkeypatch.setattr("backbone.operations.growth_driver.MOST_DRAINING", 0.0)
    short = kafka.model_copy(update={"type_lease": 1.0, "delivery_timeout": 1.0})
    client = await place.tenant.client(Role.ADMIN)
    await place.growths[0].begin(place.topic, 12, GrowthOrder.KEEP, client.id)

    class Behind(Watched):
        def behind(self, view: CatalogView, event_type: EventType, ends: Mapping[Partition, int]) -> dict[str, int]:
            return {"headrace-router": len(ends)} if view and event_type else {}

    driver = asyncio.create_task(GrowthDriver(place.workers[0].catalog, place.growths[0], Behind(admin), short).run())
    await until(lambda: place.growth().is_ended)
    driver.cancel()

    growth = place.growth()
    assert growth.state is GrowthState.ROLLED_BACK
    assert "headrace-router by 3 offsets" in (growth.reason or "")
    event_type = place.workers[0].catalog.view.event_type(place.topic)
    assert event_type is not None
    assert event_type.effective_partitions == 3
    await place.workers[0].publisher.publish([place.draft(client, "a")])
    again = await place.growths[0].begin(place.topic, 12, GrowthOrder.AS_IS, client.id)
    assert again.state is GrowthState.DONE
    await place.workers[0].publisher.publish([place.draft(client, "a")])


@pytest.mark.parametrize("state", [GrowthState.FREEZING, GrowthState.DRAINING])
async def test_a_cancelled_growth_lets_events_through_at_once(place: Place, state: GrowthState) -> None:
    client = await place.tenant.client(Role.ADMIN)
    growth = await place.growths[0].begin(place.topic, 12, GrowthOrder.KEEP, client.id)
    if state is GrowthState.DRAINING:
        await place.growths[0].drain(growth)
    assert place.growth().state is state
    with pytest.raises(Frozen):
        await place.workers[0].publisher.publish([place.draft(client, "a")])

    cancelled = await place.growths[1].cancel(place.topic, client.id)
    await place.workers[1].publisher.publish([place.draft(client, "a")])
    await place.growths[0].drain(growth)  # of a process that has not seen it yet
    await place.growths[0].finish(growth)

    assert (cancelled.state, cancelled.reason) == (GrowthState.ROLLED_BACK, f"{client.id} cancelled it.")
    assert place.growth() == cancelled
    (receipt,) = await place.workers[0].publisher.publish([place.draft(client, "a")])
    assert receipt.partition == partition_for(b"a", 3)
    with pytest.raises(Conflict):
        await place.growths[0].cancel(place.topic, client.id)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONGEST):
        while not condition():  # noqa: ASYNC110  # of what other processes do
            await asyncio.sleep(0.05)
