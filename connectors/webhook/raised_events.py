"""Operational events between the change that raised them and their publication: an outbox on ``endpoint-state``.

The record of a change carries the events that come with it, so neither is without the other. Once a process has read
its own record back, Kafka has it: then it publishes the events, and writes the record again without them. What a
process leaves behind when it ends is published by any other one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from schemas.model.delivery import EndpointState
    from schemas.model.operational_event import OperationalEvent

TAKEN_OVER = 30 * 1_000_000
"""Microseconds after which others publish what the process that raised it has not."""


class RaisedEvents:
    """The states with events that are not published yet, by their record's key."""

    def __init__(self) -> None:
        self._unread: dict[str, EndpointState] = {}
        self._read: dict[str, EndpointState] = {}
        self._own: set[str] = set()

    def with_others(self, key: str, state: EndpointState) -> EndpointState:
        """A state that is about to be written, with the events of the record that it replaces."""
        known = [found.raised for found in (self._read.get(key), self._unread.get(key)) if found is not None]
        if not state.raised and not known:
            return state
        raised = _each((*known, state.raised))
        state = msgspec.structs.replace(state, raised=raised)
        self._own.update(event.id for event in raised)
        self._unread[key] = state
        return state

    def read(self, key: str, state: EndpointState) -> None:
        """Take note of a record that Kafka has."""
        unread = self._unread.get(key)
        if unread is not None and unread.changed_at <= state.changed_at:
            del self._unread[key]
        if state.raised:
            self._read[key] = state
            return
        settled = self._read.pop(key, None)
        if settled is not None:
            self._own.difference_update(event.id for event in settled.raised)

    def settle(self, key: str, state: EndpointState) -> bool:
        """Forget the events of a state, which are published; return False if it is not the last of its key."""
        if key in self._unread or self._read.get(key) is not state:
            return False
        del self._read[key]
        self._own.difference_update(event.id for event in state.raised)
        return True

    def to_publish(self, now: int) -> dict[str, EndpointState]:
        """The states whose events this process raised, or another one that had the time to publish them.

        Args:
            now: microseconds since the epoch.
        """
        return {
            key: state
            for key, state in list(self._read.items())
            if state.changed_at + TAKEN_OVER < now or any(event.id in self._own for event in state.raised)
        }


def _each(raised: tuple[tuple[OperationalEvent, ...], ...]) -> tuple[OperationalEvent, ...]:
    """All of them, each once."""
    return tuple({event.id: event for events in raised for event in events}.values())
