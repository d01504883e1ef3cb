"""Events are shown once, as the ledger gets them, with few questions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from operations.commands import following
from operations.commands.following import new_events
from schemas.model import timestamps

SECOND = 1_000_000


class Page(msgspec.Struct):
    items: list[msgspec.Raw]
    next_cursor: str | None


class Ledger:
    """Answers as the API does, two events a page, the latest first."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str]] = []
        self.asked = 0

    def add(self, name: str, received_at: int) -> None:
        self.events = sorted([*self.events, (received_at, name)], reverse=True)

    async def page(self, _path: str, *, since: str, cursor: str = "0", limit: str) -> Page:
        assert limit
        self.asked += 1
        found = [each for each in self.events if each[0] >= timestamps.parse(since)]
        start = int(cursor)
        texts = [{"event_id": name, "received_at": timestamps.to_text(at)} for at, name in found[start : start + 2]]
        is_last = start + 2 >= len(found)
        return Page([msgspec.Raw(msgspec.json.encode(each)) for each in texts], None if is_last else str(start + 2))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The time; a poll takes none."""
    at = {"now": 1_000 * SECOND}
    monkeypatch.setattr(timestamps, "now", lambda: at["now"])
    monkeypatch.setattr(following, "monotonic", lambda: at["now"] / SECOND)
    monkeypatch.setattr(following, "_POLL", 0)
    return at


async def test_each_event_is_shown_once_and_what_is_known_is_not_read_again(clock: dict[str, int]) -> None:
    ledger: Any = Ledger()
    for number in range(6):
        ledger.add(f"e{number}", clock["now"] + number)
    followed = new_events(ledger, {}, clock["now"])

    async def shown(count: int) -> list[str]:
        return [msgspec.json.decode(bytes(await anext(followed)))["event_id"] for _ in range(count)]

    assert await shown(6) == [f"e{number}" for number in range(6)]
    assert ledger.asked == 3
    # Between two looks back a question ends at the first page that is known.
    clock["now"] += SECOND
    ledger.add("new", clock["now"])
    assert await shown(1) == ["new"]
    assert ledger.asked == 5
    # The ledger gets an event late, which is among those that are known.
    ledger.add("late", 1_000 * SECOND + 1)
    clock["now"] += 6 * SECOND
    assert await shown(1) == ["late"]
    # What can come no more is not remembered.
    clock["now"] += 61 * SECOND
    for name in ("later", "latest"):
        ledger.add(name, clock["now"])
        assert await shown(1) == [name]
    assert "e0" not in followed.ag_frame.f_locals["seen"]
    assert "later" in followed.ag_frame.f_locals["seen"]
