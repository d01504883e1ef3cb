from __future__ import annotations

import asyncio
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backbone.catalog import writer as writer_module
from backbone.catalog.writer import Changes
from backbone.kafka.transaction import TransactionalProducer
from schemas.model.access import Workspace
from schemas.model.errors import Fenced
from schemas.model.ids import new_id
from tests.support.fork_server import Forked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backbone.catalog.view import CatalogView
    from tests.component.catalog.conftest import Node, NodeFactory


class OtherProcess:
    """One that is told what to do, and tells what it did, a line each."""

    def __init__(self, *arguments: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs, ours, Path(os.devnull).open("w") as nowhere:
            command = ("-m", "tests.component.catalog.other_process", *arguments)
            self._process = Forked(*command, stdin=theirs, stdout=theirs, stderr=nowhere)
            self._lines = ours.makefile("rw")

    def tell(self, line: str) -> None:
        self._lines.write(f"{line}\n")
        self._lines.flush()

    def line(self) -> str:
        return self._lines.readline().strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._lines.close()


@contextmanager
def other_process(*arguments: str) -> Iterator[OtherProcess]:
    other = OtherProcess(*arguments)
    try:
        yield other
    finally:
        other.kill()


def new_workspace(name: str) -> Workspace:
    return Workspace(id=new_id(), name=name, created_at=0, updated_at=0)


async def test_two_processes_race_for_one_name_and_one_wins(kafka_bootstrap: str, node: Node, unique: str) -> None:
    with other_process(kafka_bootstrap, "race", unique) as one, other_process(kafka_bootstrap, "race", unique) as two:
        assert [one.line(), two.line()] == ["ready", "ready"]
        for each in (one, two):
            each.tell("go")
        answers = [one.line(), two.line()]
    assert answers.count("taken") == 1
    await node.catalog.caught_up()
    found = node.catalog.view.workspace(unique)
    assert found is not None
    assert found.id in answers


async def test_a_writer_killed_before_its_commit_leaves_nothing_and_holds_up_nobody(
    kafka_bootstrap: str, node: Node, unique: str
) -> None:
    with other_process(kafka_bootstrap, "hang", unique) as other:
        assert other.line() == "before commit"
    mine = new_workspace(unique)

    def decide(view: CatalogView) -> Changes[Workspace]:
        assert view.workspace(unique) is None
        return Changes(put=[mine], result=mine)

    assert await node.writer.write(decide) == mine
    assert node.catalog.view.workspace(unique) == mine


class CommitIsNotAnswered(TransactionalProducer):
    """The first commit is sent and takes, but its answer never comes."""

    told = 0

    def commit(self) -> None:
        super().commit()
        type(self).told += 1
        if self.told == 1:
            raise Fenced("commit: no answer")


class CommitIsNotSent(TransactionalProducer):
    """The first commit never arrives."""

    told = 0

    def commit(self) -> None:
        type(self).told += 1
        if self.told == 1:
            raise Fenced("commit: no answer")
        super().commit()


@pytest.mark.parametrize(("producer", "commits"), [(CommitIsNotAnswered, 1), (CommitIsNotSent, 2)])
async def test_an_unanswered_commit_is_settled_by_the_write_id(
    producer: type[CommitIsNotAnswered | CommitIsNotSent],
    commits: int,
    node_factory: NodeFactory,
    unique: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(producer, "told", 0)
    monkeypatch.setattr(writer_module, "TransactionalProducer", producer)
    node, other = await node_factory(), await node_factory()
    decided: list[Workspace] = []

    def decide(view: CatalogView) -> Changes[Workspace]:
        assert view.workspace(unique) is None
        decided.append(new_workspace(unique))
        return Changes(put=[decided[-1]], result=decided[-1])

    assert await node.writer.write(decide) == decided[-1]
    assert (len(decided), producer.told) == (commits, commits)
    await other.catalog.caught_up()
    assert other.catalog.view.workspace(unique) == decided[-1]


async def test_a_writer_whose_connection_broke_does_not_write_what_it_decided_before_others_wrote(
    node_factory: NodeFactory, unique: str
) -> None:
    """Taking the lock again at the last moment would fence the other one, and undo what it wrote."""
    one, other = await node_factory(), await node_factory()
    loop = asyncio.get_running_loop()
    mine, others = new_workspace(unique), new_workspace(unique)
    first = new_workspace(f"{unique}-first")
    await one.writer.write(lambda _: Changes(put=[first], result=None))

    def put_others(view: CatalogView) -> Changes[None]:
        assert view.workspace(unique) is None
        return Changes(put=[others], result=None)

    def decide(view: CatalogView) -> Changes[str]:
        if view.workspace(unique) is not None:
            return Changes(result="taken")
        asyncio.run_coroutine_threadsafe(other.writer.write(put_others), loop).result(60)
        assert one.writer._producer is not None
        one.writer._producer._connections.has_broken = True
        return Changes(put=[mine], result="mine")

    assert await one.writer.write(decide) == "taken"
    await other.catalog.caught_up()
    assert other.catalog.view.workspace(unique) == others
