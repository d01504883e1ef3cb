"""What ``headrace balance`` says, and when it fails."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import typer

from operations.commands import balance

if TYPE_CHECKING:
    from collections.abc import Callable

    Show = Callable[..., None]

PLACE = {"topic": "events.acme.o.p", "partition": 0, "first_offset": 4, "next_offset": 9, "matched": 5, "found": 4}


class Api:
    """Answers with one row."""

    def __init__(self, **row: Any) -> None:
        counts = dict.fromkeys(("dead", "retrying", "in_flight", "held", "cancelled", "not_kept"), 0)
        self.row = {"hour": "2026-11-30T16:00:00Z", "endpoint": "hook", "matched": 5, "delivered": 4, **counts, **row}
        self.asked: list[dict[str, str]] = []

    async def get(self, _path: str, **query: str) -> Any:
        self.asked.append(query)
        return {"complete_until": "2026-11-30T17:00:00Z"}

    async def items(self, _path: str, _most: int, **_query: str) -> list[msgspec.Raw]:
        return [msgspec.Raw(json.dumps(self.row).encode())]


def show(api: Api, **options: Any) -> None:
    given = {"endpoint": None, "since": None, "until": None, "unbalanced": False, "limit": 100, "as_json": False}
    # Without the command around it, which makes the connection.
    asyncio.run(balance.balance.__wrapped__(api, **given | options))  # type: ignore[attr-defined]


def test_a_difference_in_a_whole_hour_fails_and_names_its_offsets(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as exit_:
        show(Api(difference=1, complete=True, places=[PLACE]), unbalanced=True)
    assert exit_.value.exit_code == 4
    said = capsys.readouterr()
    assert "events.acme.o.p" in said.out
    assert "Not all deliveries add up" in said.err


@pytest.mark.parametrize(("difference", "complete"), [(0, True), (1, False)])
def test_no_difference_or_one_that_may_pass_succeeds(
    capsys: pytest.CaptureFixture[str], difference: int, *, complete: bool
) -> None:
    api = Api(difference=difference, complete=complete, places=[])
    show(api, endpoint="hook")
    assert "hook" in capsys.readouterr().out
    assert api.asked == [{"endpoint": "hook", "limit": "1"}]
