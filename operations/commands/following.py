"""Events as the ledger gets them, each once."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from schemas.model import timestamps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from operations.api.client import OwnApi

_POLL = 0.5
_LATE = 60_000_000
"""Microseconds: the ledger may have an event that much later than one that was received after it."""

_LOOK_BACK = 5.0
"""Seconds between two looks at all of that time; the others end at the first page that is known."""

_PAGE = 100
_MOST = 10_000
"""Events of one look."""


class _Named(msgspec.Struct):
    event_id: str
    received_at: str


async def new_events(api: OwnApi, wanted: dict[str, str], began: int) -> AsyncIterator[msgspec.Raw]:
    """Yield each event that a query finds, in the order in which the ledger gets them, for ever.

    Args:
        api: that is asked.
        wanted: what ``GET /events`` is to find.
        began: microseconds; events received before are left out.
    """
    seen: dict[str, int] = {}
    since, looked_back = began, float("-inf")
    while True:
        is_whole = monotonic() - looked_back >= _LOOK_BACK
        if is_whole:
            looked_back = monotonic()
        for text, event in reversed(await _unseen(api, wanted, since, seen, is_whole=is_whole)):
            seen[event.event_id] = timestamps.parse(event.received_at)
            yield text
        since = max(began, timestamps.now() - _LATE)
        seen = {name: received_at for name, received_at in seen.items() if received_at >= since}
        await asyncio.sleep(_POLL)


async def _unseen(
    api: OwnApi, wanted: dict[str, str], since: int, seen: dict[str, int], *, is_whole: bool
) -> list[tuple[msgspec.Raw, _Named]]:
    """The events that are not in ``seen``, the latest first; without ``is_whole`` up to a page that has none."""
    found: list[tuple[msgspec.Raw, _Named]] = []
    cursor: dict[str, str] = {}
    for _ in range(_MOST // _PAGE):
        page = await api.page("/events", **wanted, **cursor, since=timestamps.to_text(since), limit=str(_PAGE))
        new = [(text, each) for text in page.items if (each := _read(text)).event_id not in seen]
        found += new
        if page.next_cursor is None or not (new or is_whole):
            break
        cursor = {"cursor": page.next_cursor}
    return found


def _read(text: msgspec.Raw) -> _Named:
    return msgspec.json.decode(bytes(text), type=_Named)
