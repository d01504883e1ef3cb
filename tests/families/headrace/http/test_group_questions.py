"""Questions about groups: a workspace that asks many leaves others their turn, and threads to other requests."""

from __future__ import annotations

import asyncio
import threading

from backbone.workspace_queue import WORKSPACE
from families.headrace.http.group_questions import GroupQuestions


async def test_a_workspace_has_one_under_way_and_a_worker_two() -> None:
    questions, free = GroupQuestions(), threading.Event()
    under_way: list[str] = []
    most = 0

    def question(name: str) -> str:
        nonlocal most
        under_way.append(name)
        most = max(most, len(under_way))
        assert under_way.count("busy") <= 1
        free.wait(60)
        under_way.remove(name)
        return name

    async def ask(name: str) -> str:
        WORKSPACE.set(name)
        return await questions.ask(lambda: question(name))

    busy = [asyncio.create_task(ask("busy")) for _ in range(8)]
    quiet = asyncio.create_task(ask("quiet"))
    async with asyncio.timeout(60):
        while "quiet" not in under_way:  # noqa: ASYNC110  # a thread says so
            await asyncio.sleep(0.001)
        free.set()
        assert await asyncio.gather(quiet, *busy) == ["quiet", *["busy"] * 8]
    assert most <= 2
