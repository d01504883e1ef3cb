"""Questions about consumer groups, a few at a time: each is a process and a thread of its own, for seconds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from backbone.workspace_queue import WORKSPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest_api.gateway import Gateway

T = TypeVar("T")

_AT_ONCE = 2
"""Of one worker: its other threads are left to other requests."""


class GroupQuestions:
    """Asks for the requests of one worker; a workspace has one question under way, so that others get their turn."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._of_workspace: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ask(self, question: Callable[[], T]) -> T:
        """What a function that blocks returns, from a thread, when it is its turn."""
        turn = self._of_workspace.setdefault(WORKSPACE.get(), asyncio.Lock())
        async with turn, self._free:
            return await asyncio.to_thread(question)


def group_questions(_gateway: Gateway) -> GroupQuestions:
    """Make those of a worker."""
    return GroupQuestions()
