"""The budget of one event, however many clients share it."""

from __future__ import annotations

from schemas.filters.conditions import Condition
from stream_processors.routing.evaluation import Evaluation, share_of
from tests.support.event_with_data import EventWithData


def test_however_many_clients_share_a_budget_it_has_an_end() -> None:
    clients = [f"client-{number}" for number in range(5_000)]
    evaluation = Evaluation(EventWithData({"a": ["y"] * 900}), share_of(clients))  # type: ignore[arg-type]  # an event with data alone
    condition = Condition({"data": {"a": ["x"]}}, 2)
    found = [evaluation.fits(condition, client) for client in clients]
    assert found[:1_000] == [False] * 1_000
    assert found[1_200:] == [None] * 3_800
