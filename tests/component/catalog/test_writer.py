from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from backbone.catalog.writer import Changes
from backbone.kafka.transaction import TransactionalProducer
from backbone.workspace_queue import WORKSPACE
from schemas.model.access import Workspace
from schemas.model.errors import AlreadyExists, PayloadTooLarge
from schemas.model.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from backbone.kafka.records import Record
    from tests.component.catalog.conftest import Node, NodeFactory


def a_workspace(name: str, *, updated_at: int = 0) -> Workspace:
    return Workspace(id=new_id(), name=name, created_at=0, updated_at=updated_at)


async def create(writer: CatalogWriter, name: str) -> Workspace:
    def decide(view: CatalogView) -> Changes[Workspace]:
        if view.workspace(name) is not None:
            raise AlreadyExists(f"workspace {name} exists")
        new = a_workspace(name)
        return Changes(put=[new], result=new)

    return await writer.write(decide)


async def add_one(writer: CatalogWriter, name: str) -> int:
    """Read, modify, write: a lost update shows in the sum."""

    def decide(view: CatalogView) -> Changes[int]:
        now = view.workspace(name)
        assert now is not None
        new = msgspec.structs.replace(now, updated_at=now.updated_at + 1)
        return Changes(put=[new], result=new.updated_at)

    return await writer.write(decide)


async def test_a_write_is_in_the_own_view_when_it_returns(node: Node, unique: str) -> None:
    for number in range(20):
        created = await create(node.writer, f"{unique}-{number}")
        assert node.catalog.view.workspace(f"{unique}-{number}") == created


async def test_what_decide_raises_is_raised_and_nothing_is_written(node: Node, unique: str) -> None:
    first = await create(node.writer, unique)
    version = node.catalog.view.version
    with pytest.raises(AlreadyExists):
        await create(node.writer, unique)
    await node.catalog.caught_up()
    assert node.catalog.view.workspace(unique) == first
    assert node.catalog.view.version == version


async def test_queued_writes_see_each_other_and_one_name_goes_to_one(node: Node, unique: str) -> None:
    outcomes = await asyncio.gather(*(create(node.writer, unique) for _ in range(20)), return_exceptions=True)
    created = [each for each in outcomes if isinstance(each, Workspace)]
    assert len(created) == 1
    assert all(isinstance(each, AlreadyExists) for each in outcomes if each is not created[0])
    assert node.catalog.view.workspace(unique) == created[0]


async def test_writers_fence_each_other_back_and_forth_without_losing_a_write(
    node_factory: NodeFactory, unique: str
) -> None:
    nodes = [await node_factory() for _ in range(3)]
    await create(nodes[0].writer, unique)

    for number in range(1, 10):
        assert await add_one(nodes[number % 3].writer, unique) == number

    async def many(node: Node) -> None:
        for _ in range(8):
            await add_one(node.writer, unique)

    await asyncio.gather(*(many(node) for node in nodes))
    for node in nodes:
        await node.catalog.caught_up()
        found = node.catalog.view.workspace(unique)
        assert found is not None
        assert found.updated_at == 9 + 24


async def test_a_record_that_is_too_large_fails_alone(node: Node, unique: str) -> None:
    def too_large(_view: CatalogView) -> Changes[None]:
        return Changes(put=[a_workspace(unique + "x" * 3_000_000)], result=None)

    outcomes = await asyncio.gather(node.writer.write(too_large), create(node.writer, unique), return_exceptions=True)
    assert isinstance(outcomes[0], PayloadTooLarge)
    assert node.catalog.view.workspace(unique) == outcomes[1]


async def test_a_write_that_is_too_large_is_refused_alone_and_before_anything_is_sent(node: Node, unique: str) -> None:
    records: list[bytes | None] = []
    produce = TransactionalProducer.produce

    def noted(self: TransactionalProducer, record: Record) -> None:
        records.append(record.key)
        produce(self, record)

    def large(_: CatalogView) -> Changes[None]:
        workspaces = [a_workspace(f"{unique}-{number}-{'x' * 900_000}") for number in range(5)]
        return Changes(put=workspaces, result=None)

    def one(_: CatalogView) -> Changes[None]:
        return Changes(put=[a_workspace("x" * 1_100_000)], result=None)

    await create(node.writer, f"{unique}-first")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TransactionalProducer, "produce", noted)
        outcomes = await asyncio.gather(
            node.writer.write(large), node.writer.write(one), create(node.writer, unique), return_exceptions=True
        )
    assert [type(each) for each in outcomes] == [PayloadTooLarge, PayloadTooLarge, Workspace]
    # The change, and its entry in the audit log.
    assert records == [f"workspace/{unique}".encode(), unique.encode()]


async def test_one_workspaces_slow_writes_do_not_hold_up_anothers(node: Node, unique: str) -> None:
    await create(node.writer, f"{unique}-first")
    finished: list[str] = []

    def slow(number: int) -> Callable[[CatalogView], Changes[None]]:
        def decide(_: CatalogView) -> Changes[None]:
            time.sleep(0.06)
            return Changes(put=[a_workspace(f"{unique}-slow-{number}")], result=None)

        return decide

    async def attack(number: int) -> None:
        WORKSPACE.set("attacker")
        await node.writer.write(slow(number))
        finished.append("attacker")

    async def work() -> None:
        WORKSPACE.set("victim")
        await create(node.writer, unique)
        finished.append("victim")

    attacks = [asyncio.create_task(attack(number)) for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.create_task(work())
    assert finished.count("attacker") <= 5
    await asyncio.gather(*attacks)
