from __future__ import annotations

from typing import Any

import pytest

from operations.commands.dead_letters import _selection
from operations.errors import WrongUsage


def selected(letters: list[str] | None = None, **options: Any) -> dict[str, Any]:
    return _selection(letters, **{"type_": None, "everything": False} | options)


def test_ids_or_a_selection() -> None:
    assert selected(["3-1042", "0-7"]) == {"ids": ["3-1042", "0-7"]}
    assert selected(everything=True) == {}
    assert selected(endpoint="e", type_="order", reason=None) == {
        "endpoint": "e",
        "namespace": "events",
        "type": "order",
    }
    assert selected(type_="crm/order") == {"namespace": "crm", "type": "order"}


@pytest.mark.parametrize(
    "options", [{}, {"letters": ["0-1"], "everything": True}, {"letters": ["0-1"], "endpoint": "e"}]
)
def test_neither_none_nor_both(options: dict[str, Any]) -> None:
    with pytest.raises(WrongUsage):
        selected(**options)
