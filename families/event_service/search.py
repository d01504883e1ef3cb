"""Looking for events that were accepted: what may be asked of the ledger, and what it answers."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

Path = tuple[str, ...]
"""Where in an event's data a member is: the names on the way to it."""


class EventSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Which events: all of the conditions given. Times are in microseconds, both ends included.

    Attributes:
        id, code: of the event and of its type.
        earliest, latest: when it happened.
        members: for each entry, one of its places in the data must hold the text.
    """

    id: str | None = None
    code: str | None = None
    earliest: int | None = None
    latest: int | None = None
    members: tuple[tuple[tuple[Path, ...], str], ...] = ()


class FoundEvent(NamedTuple):
    """One event; ``data`` is JSON text."""

    id: str
    code: str
    time: int
    received_at: int
    data: str
