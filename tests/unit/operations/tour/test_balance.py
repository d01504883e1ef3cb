"""The balance is asked for again while the ledger is busy, and no longer than it may be."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from operations.errors import CallFailed
from operations.tour import balance


class Api:
    """Answers so many calls of the balance with a status first."""

    def __init__(self, busy: int, status: int = 503) -> None:
        self._busy, self._status = busy, status

    async def get(self, path: str, **_query: str) -> dict[str, Any]:
        if path == "/workspaces":
            return {"items": [{"name": "acme"}]}
        if path == "/balance" and self._busy:
            self._busy -= 1
            raise CallFailed(f"GET {path}", self._status, "busy")
        return {"items": [], "complete_until": (datetime.now(UTC) + timedelta(days=1)).isoformat()}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balance, "_LOOK_EVERY", 0)


def test_a_busy_ledger_is_asked_again() -> None:
    assert asyncio.run(balance.settled(Api(3), 60)) == (True, [], [])  # type: ignore[arg-type]  # a double


@pytest.mark.parametrize(("busy", "status", "seconds"), [(10**9, 503, -1.0), (1, 403, 60.0)])
def test_one_that_refuses_or_stays_busy_is_told(busy: int, status: int, seconds: float) -> None:
    with pytest.raises(CallFailed):
        asyncio.run(balance.settled(Api(busy, status), seconds))  # type: ignore[arg-type]  # a double
