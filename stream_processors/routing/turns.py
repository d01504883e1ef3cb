"""The events that wait to be routed, by workspace: a workspace with expensive events delays only itself.

Batches come in Kafka's order, so one workspace's expensive events would delay all others behind them. Therefore each
turn is limited in time and goes to the workspace that has used the least.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from backbone.kafka.records import ConsumedRecord, Partition

TURN = 0.04
"""Seconds of routing between two checks for new batches; an event that is being routed is finished first."""

SHARE_OF_TURN = 0.01
"""Seconds of a turn that one workspace gets before the next one."""

_REMEMBERED, _MOST_REMEMBERED = 0.1, 10_000
"""Seconds for which the use of a workspace without events is remembered; and the most such workspaces."""

_HOLD_EVENTS, _HOLD_BYTES = 1_000, 16 * 1024 * 1024
"""Waiting events and bytes of one workspace after a turn: past either limit, no more are fetched."""


class Turns:
    """The waiting events, in their order within each workspace. Used by one thread at a time."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[ConsumedRecord]] = {}
        self._used: dict[str, float] = {}
        """Used seconds by workspace, relative to each other; also of workspaces without events."""
        self._left: set[str] = set()
        """The workspaces whose events were left over by the last turn."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def clear(self) -> None:
        """Drop all events: they will be read again."""
        self._waiting.clear()
        self._left.clear()
        self._used.clear()

    def add(self, messages: Iterable[ConsumedRecord]) -> None:
        """Add events behind the others of their workspace."""
        least = self._least()
        queues: dict[str, deque[ConsumedRecord]] = {}
        for message in messages:
            topic = message.topic()
            waiting = queues.get(topic)
            if waiting is None:
                workspace = _workspace_of(topic)
                if workspace not in self._waiting:
                    self._waiting[workspace] = deque()
                    # A workspace that returns gets no credit for time that it did not use, but pays for recent use.
                    used = self._used.get(workspace, least)
                    self._used[workspace] = min(max(used, least), least + _REMEMBERED)
                waiting = queues[topic] = self._waiting[workspace]
            waiting.append(message)

    def turn(self, seconds: float | None) -> Generator[ConsumedRecord]:
        """Yield the events to route now; finish each before the next.

        Where some workspaces have events left over from the last turn, the events of others make a turn of their own:
        they are seen when it is committed, and that one is committed soon.

        Args:
            seconds: time limit; None yields all.
        """
        try:
            yield from self._turn(None if seconds is None else time.monotonic() + seconds)
        finally:
            self._left = set(self._waiting)

    def _turn(self, ends: float | None) -> Generator[ConsumedRecord]:
        now = time.monotonic()
        others = False
        while self._waiting:
            # Of several with the same use, the last one.
            workspace = min(reversed(self._waiting), key=lambda name: (self._used[name], len(self._waiting[name])))
            if workspace not in self._left:
                others = True
            elif others:
                return
            waiting, began = self._waiting[workspace], now
            try:
                while waiting:
                    yield waiting.popleft()
                    if ends is not None:
                        now = time.monotonic()
                        if now - began > SHARE_OF_TURN or now > ends:
                            break
            finally:
                self._used[workspace] = self._used.get(workspace, 0.0) + time.monotonic() - began
                if not waiting:
                    self._waiting.pop(workspace, None)
            if ends is not None and now > ends:
                return

    def _least(self) -> float:
        """The use of the workspace that comes next."""
        if len(self._used) > _MOST_REMEMBERED:
            self._used = {workspace: self._used[workspace] for workspace in self._waiting}
        return min((self._used[workspace] for workspace in self._waiting or self._used), default=0.0)

    def put_back(self, message: ConsumedRecord) -> None:
        """Yield the last event again first: it is not finished."""
        self._waiting.setdefault(_workspace_of(message.topic()), deque()).appendleft(message)

    def charge(self, message: ConsumedRecord, seconds: float) -> None:
        """Charge seconds to the workspace of an event."""
        workspace = _workspace_of(message.topic())
        self._used[workspace] = self._used.get(workspace, 0.0) + seconds

    def overfull(self) -> set[Partition]:
        """The partitions to fetch nothing from for now."""
        return {
            (message.topic(), message.partition())
            for waiting in self._waiting.values()
            if len(waiting) > _HOLD_EVENTS or sum(len(each.value() or b"") for each in waiting) > _HOLD_BYTES
            for message in waiting
        }


def _workspace_of(topic: str) -> str:
    """The workspace's part of an event topic's name."""
    return topic.split(".", 2)[1] if topic.count(".") > 1 else topic
