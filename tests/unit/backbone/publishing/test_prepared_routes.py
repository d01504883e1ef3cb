"""What is prepared for the events of a client while the catalog goes on."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from backbone.catalog.view import CatalogView
from backbone.kafka.records import Ack, partition_for
from backbone.kafka.settings import KafkaSettings
from backbone.publishing.publisher import Publisher
from schemas.model.access import Client, Role
from schemas.model.event import EventDraft
from schemas.model.event_type import EventType, Registration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.kafka.records import Record
    from backbone.kafka.sent_batch import Refusal

T = TypeVar("T")

OFFER = EventType(
    workspace="w",
    namespace="n",
    code="Offer",
    open=True,
    partition_key="data.id",
    effective_partitions=3,
    schema_id=1,
    created_at=0,
    updated_at=0,
)
KEY = next(key for key in map(str, range(100)) if partition_for(key.encode(), 3) != partition_for(key.encode(), 12))


def client(name: str) -> Client:
    return Client(id=name, name=name, workspace="w", roles=(Role.PRODUCER,), created_at=0, updated_at=0)


def registration(name: str) -> Registration:
    return Registration(workspace="w", namespace="n", code="Offer", client=name, created_at=0, updated_at=0)


def draft(name: str) -> EventDraft:
    data = msgspec.json.encode({"id": KEY})
    return EventDraft(
        workspace="w", namespace="n", code="Offer", client=name, publisher=client(name).unique_id, data=data
    )


class World:
    """A catalog whose answer to a question is waited for, and a producer that keeps what it is given."""

    def __init__(self) -> None:
        self.view = CatalogView()
        for each in (OFFER, client("early"), client("late"), registration("early")):
            self.view.put(each, 0)
        self.asked, self.answered = asyncio.Event(), asyncio.Event()
        self.sent: list[Record] = []

    async def caught_up(self, _timeout: float) -> None: ...

    async def lookup(self, find: Callable[[CatalogView], T | None]) -> T | None:
        found = find(self.view)
        if found is None:
            self.asked.set()
            await self.answered.wait()
            found = find(self.view)
        return found

    async def send(self, records: Sequence[Record], *, final: bool, refusal: Refusal) -> list[Ack]:
        assert not final
        if (refused := refusal(records)) is not None:
            raise refused
        self.sent += records
        return [Ack(each.partition, 0) for each in records]


async def test_a_type_that_grows_while_a_registration_is_looked_up_is_published_to_all_partitions() -> None:
    world: Any = World()
    publisher = Publisher(world, world, SimpleNamespace(settings=KafkaSettings()))  # type: ignore[arg-type]
    late = asyncio.create_task(publisher.publish([draft("late")]))
    await world.asked.wait()
    world.view.put(msgspec.structs.replace(OFFER, effective_partitions=12), 0)
    world.view.put(registration("late"), 0)
    await publisher.publish([draft("early")])
    world.answered.set()
    await late
    await publisher.publish([draft("late")])
    assert [each.partition for each in world.sent] == [partition_for(KEY.encode(), 12)] * 3
