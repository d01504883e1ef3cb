from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from operations.settings import OperationsSettings
from operations.up import welcome

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("given", ["", "an administrator's key"])
def test_the_welcome_says_where_the_administrators_key_is_and_never_the_key(given: str, tmp_path: Path) -> None:
    settings = OperationsSettings(admin_key=given, data_dir=tmp_path)
    broker: Any = SimpleNamespace(bootstrap_servers="127.0.0.1:9092", description="given")

    said = welcome(settings, broker)

    in_file = f"$(cat {tmp_path / 'admin-key'})"
    assert (in_file in said, "$HEADRACE_ADMIN_KEY" in said) == (not given, bool(given))
    assert not given or given not in said
