"""Catalog writes that wait, in a queue for each workspace: one that asks for many waits for its own."""

from __future__ import annotations

import threading
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

WORKSPACE: ContextVar[str] = ContextVar("workspace", default="")
"""The workspace of the client whose request is being handled."""


class WriteQueue(Generic[T]):
    """Waiting items by workspace, which take turns. From any thread."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[T]] = {}
        self._changed = threading.Condition()
        self._closed = False

    def put(self, workspace: str, item: T) -> None:
        """Let an item wait behind the others of its workspace."""
        with self._changed:
            self._waiting.setdefault(workspace, deque()).append(item)
            self._changed.notify()

    def put_back(self, items: Sequence[tuple[str, T]]) -> None:
        """Let items that were taken wait before all others, in the order given."""
        first: dict[str, deque[T]] = {}
        with self._changed:
            for workspace, item in items:
                first.setdefault(workspace, deque()).append(item)
            for workspace, waiting in self._waiting.items():
                first.setdefault(workspace, deque()).extend(waiting)
            self._waiting = first

    def close(self) -> None:
        """Have ``take`` return what is left, and nothing after that."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self, most: int) -> list[tuple[str, T]]:
        """Wait for items and take up to ``most`` of them, one of each workspace by turns; none when it was closed."""
        taken: list[tuple[str, T]] = []
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            while self._waiting and len(taken) < most:
                # The first has its turn, and is the last one then.
                workspace, waiting = next(iter(self._waiting.items()))
                del self._waiting[workspace]
                taken.append((workspace, waiting.popleft()))
                if waiting:
                    self._waiting[workspace] = waiting
        return taken
