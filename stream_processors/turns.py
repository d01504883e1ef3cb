"""The events that wait to be routed, by workspace: whoever's events take long waits for its own.

Batches come in the order in which Kafka handed them out. One workspace's expensive events would hold up everybody's
behind them, so each turn is bounded in time and goes to the workspace that has had the least of it.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from backbone.kafka.records import Partition
    from stream_processors.reader import ConsumedRecord

TURN = 0.04
"""Seconds of routing between two looks at what else has come; an event that is being routed is finished first."""

_SHARE_OF_TURN = 0.01
"""Seconds that one workspace gets of a turn before another one is asked."""

_HOLD_EVENTS, _HOLD_BYTES = 1_000, 16 * 1024 * 1024
"""Waiting of one workspace after a turn: past either, no more of its events are fetched."""


class Turns:
    """Events that wait, in the order in which they came within each workspace. Used by one thread at a time."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[ConsumedRecord]] = {}
        self._used: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def clear(self) -> None:
        """Drop all of them: they will be read again."""
        self._waiting.clear()
        self._used.clear()

    def add(self, messages: Iterable[ConsumedRecord]) -> None:
        """Let events wait behind those of their workspace."""
        least = min(self._used.values(), default=0.0)
        queues: dict[str, deque[ConsumedRecord]] = {}
        for message in messages:
            topic = message.topic()
            waiting = queues.get(topic)
            if waiting is None:
                workspace = _workspace_of(topic)
                waiting = queues[topic] = self._waiting.setdefault(workspace, deque())
                # One that comes back is not owed for the time that it did not use.
                self._used.setdefault(workspace, least)
            waiting.append(message)

    def turn(self, seconds: float | None) -> Generator[ConsumedRecord]:
        """Events to route now, each to be finished before the next is asked for.

        Args:
            seconds: after which no more are given; None gives all.
        """
        ends = None if seconds is None else time.monotonic() + seconds
        now = time.monotonic()
        while self._waiting:
            workspace = min(self._waiting, key=lambda name: (self._used[name], len(self._waiting[name])))
            waiting, began = self._waiting[workspace], now
            try:
                while waiting:
                    yield waiting.popleft()
                    if ends is not None:
                        now = time.monotonic()
                        if now - began > _SHARE_OF_TURN or now > ends:
                            break
            finally:
                self._used[workspace] = self._used.get(workspace, 0.0) + time.monotonic() - began
                if not waiting:
                    self._waiting.pop(workspace, None)
                    self._used.pop(workspace, None)
            if ends is not None and now > ends:
                return

    def overfull(self) -> set[Partition]:
        """The partitions of which no more should be fetched for now."""
        return {
            (message.topic(), message.partition())
            for waiting in self._waiting.values()
            if len(waiting) > _HOLD_EVENTS or sum(len(each.value() or b"") for each in waiting) > _HOLD_BYTES
            for message in waiting
        }


def _workspace_of(topic: str) -> str:
    """The workspace's part of an event topic's name."""
    return topic.split(".", 2)[1] if topic.count(".") > 1 else topic
