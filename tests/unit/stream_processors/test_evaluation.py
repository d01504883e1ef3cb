"""The budget of one event, however many clients share it."""

from __future__ import annotations

from typing import Any

from schemas.filters import Condition
from stream_processors.evaluation import Evaluation, share_of


class Event:
    """An event with data alone."""

    def data_value(self) -> Any:
        return {"a": ["y"] * 900}


def test_however_many_clients_share_a_budget_it_has_an_end() -> None:
    clients = [f"client-{number}" for number in range(5_000)]
    evaluation = Evaluation(Event(), share_of(clients))  # type: ignore[arg-type]  # an event with data alone
    condition = Condition({"data": {"a": ["x"]}}, 2)
    found = [evaluation.fits(condition, client) for client in clients]
    assert found[:1_000] == [False] * 1_000
    assert found[1_200:] == [None] * 3_800
