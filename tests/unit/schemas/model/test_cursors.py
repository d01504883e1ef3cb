"""Cursors: read where they were written, refused everywhere else."""

from __future__ import annotations

import pytest

from schemas.model.cursors import read_cursor, write_cursor
from schemas.model.errors import InvalidRequest

PLACE = (1_772_582_400_000_000, "é\U0001f600/..")
CURSOR = write_cursor("deliveries", PLACE)


def test_a_cursor_is_read_back() -> None:
    assert read_cursor("deliveries", CURSOR, tuple[int, str]) == PLACE


@pytest.mark.parametrize(
    ("listed", "cursor", "form"),
    [
        *(("deliveries", CURSOR[:length], tuple[int, str]) for length in range(len(CURSOR))),
        *(("deliveries", cursor, tuple[int, str]) for cursor in (f"{CURSOR}A", f" {CURSOR}", "é", "\0")),
        ("events", CURSOR, tuple[int, str]),
        ("deliveries", CURSOR, tuple[int, int]),
    ],
)
def test_what_is_no_cursor_of_the_list_is_refused(listed: str, cursor: str, form: type) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_cursor(listed, cursor, form)
    assert [problem.path for problem in refused.value.problems] == ["cursor"]
