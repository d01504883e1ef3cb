from __future__ import annotations

import pytest

from operations.commands.times import query, when
from operations.errors import WrongUsage
from schemas.model import timestamps


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7_200), ("3d", 259_200)])
def test_how_long_ago(text: str, seconds: int) -> None:
    before = timestamps.now()
    found = timestamps.parse(when(text, "--since"))
    assert before - 1_000 <= found + seconds * 1_000_000 <= timestamps.now()


def test_a_time_is_sent_as_it_was_given() -> None:
    text = "2026-03-04T16:36:54+01:00"
    assert query(since=text, type=None, subject="90s") == {"since": text, "subject": "90s"}


@pytest.mark.parametrize("text", ["yesterday", "", "5", "1w", "2026-03-04"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(WrongUsage, match=f"--since {text!r} is no time"):
        query(since=text)
