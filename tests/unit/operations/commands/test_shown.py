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


def test_a_null_is_told_in_the_words_of_the_documents(capsys: pytest.CaptureFixture[str]) -> None:
    items = [
        msgspec.Raw(msgspec.json.encode({"id": each, "outcome": outcome}))
        for each, outcome in (("a", None), ("b", "dead"))
    ]
    columns = {"delivery": "id", "outcome": "outcome"}
    show_items(items, columns, as_json=False, none="", nulls={"outcome": "pending"})
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [["a", "pending"], ["b", "dead"]]
