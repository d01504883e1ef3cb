"""What waits for a resource that all share, in a queue for each workspace: one that asks for much waits for its own."""

from __future__ import annotations

import threading
from collections import Counter, deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

WORKSPACE: ContextVar[str] = ContextVar("workspace", default="")
"""The workspace of the client whose request is being handled."""


class WorkspaceQueue(Generic[T]):
    """Waiting items by workspace, which take turns. From any thread.

    Args:
        at_once: items of one workspace that may be in the hands of takers; None does not count them, and ``done`` need
            not be called.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self._waiting: dict[str, deque[T]] = {}
        self._at_once = at_once
        self._taken: Counter[str] = Counter()
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

    def done(self, workspace: str) -> None:
        """Let the workspace have another item taken in the place of one that was."""
        with self._changed:
            self._taken[workspace] -= 1
            if not self._taken[workspace]:
                del self._taken[workspace]
            self._changed.notify()

    def close(self) -> None:
        """Have ``take`` return what is left, and nothing after that."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self, most: int) -> list[tuple[str, T]]:
        """Wait for items and take up to ``most`` of them, one of each workspace by turns; none when it was closed."""
        taken: list[tuple[str, T]] = []
        with self._changed:
            self._changed.wait_for(lambda: self._next() is not None or self._closed)
            while len(taken) < most and (workspace := self._next()) is not None:
                # It has had its turn, and is the last one then.
                waiting = self._waiting.pop(workspace)
                taken.append((workspace, waiting.popleft()))
                if waiting:
                    self._waiting[workspace] = waiting
                if self._at_once is not None:
                    self._taken[workspace] += 1
        return taken

    def _next(self) -> str | None:
        for workspace in self._waiting:
            if self._at_once is None or self._taken[workspace] < self._at_once:
                return workspace
        return None
