from __future__ import annotations

import pytest

from operations.listen.temporary import NAME, is_left_over
from schemas.model import timestamps

NOW = timestamps.parse("2026-11-30T12:00:00Z")


@pytest.mark.parametrize(
    ("name", "left"),
    [
        (f"{NAME}2026-11-30T11:59:59.999Z", True),
        (f"{NAME}2026-11-30T12:00:01Z", False),
        (f"{NAME}tomorrow", False),
        (f"{NAME}2026-11-30T11:00:00Z and more", False),
        (NAME, False),
        (f"my {NAME}2026-11-30T11:00:00Z", False),
        ("billing", False),
    ],
)
def test_only_what_a_command_named_so_and_forgot_is_left_over(name: str, *, left: bool) -> None:
    assert is_left_over(name, NOW) is left
