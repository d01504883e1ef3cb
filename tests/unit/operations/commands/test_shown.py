"""What commands print: texts of others do not steer the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from operations.commands.shown import show_items, show_members

if TYPE_CHECKING:
    import pytest

HOSTILE = "a\x1b]0;title\x07\x9b2J\u202eb"


def test_texts_of_others_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    item = msgspec.Raw(msgspec.json.encode({"name": HOSTILE, "data": {"a": HOSTILE}}))
    show_items([item], {"name": "name", "data": "data"}, as_json=False, none="")
    show_members({"name": HOSTILE, "note": "two\nlines"})
    told = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(told)
    assert "a\\x1b]0;title\\x07" in told
    assert "two\nlines" in told
