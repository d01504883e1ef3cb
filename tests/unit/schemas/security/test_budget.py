"""Conditions count their steps, whatever multiplies, and none takes more than it may."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from schemas.avro.layout import parse_json
from schemas.filters.conditions import Condition, compile_condition, compile_filter
from schemas.model.endpoint import EventFilter, TypeSelection
from schemas.model.errors import InvalidFilter, WorkExceeded
from schemas.security.budget import CONDITION_STEPS, CONDITION_TESTS, TimedWork, Work
from tests.support.event_with_data import EventWithData

MANY = 900
"""Alternatives: as many as a new filter may have, nearly."""

SUFFIXES = [{"suffix": f"x{number}"} for number in range(MANY)]


def condition(pattern: Any) -> Condition:
    return Condition(pattern, 2)


@pytest.mark.parametrize(
    ("pattern", "data"),
    [
        pytest.param({"data": {"a": SUFFIXES}}, {"a": [""] * 10_000}, id="suffix"),
        pytest.param({"data": {"a": [{"prefix": "x"}] * MANY}}, {"a": [""] * 10_000}, id="prefix"),
        pytest.param({"data": {"a": [{"anything-but": "x"}] * MANY}}, {"a": ["x"] * 10_000}, id="anything-but"),
        pytest.param(
            {"data": {"a": [{"anything-but": {"prefix": "x"}}] * MANY}}, {"a": ["x"] * 10_000}, id="anything-but prefix"
        ),
        pytest.param({"data": {"a": [{"numeric": ["<", 0]}] * MANY}}, {"a": [1] * 10_000}, id="numeric"),
        pytest.param(
            {"data": {"a": [{"numeric": [">=", 0, "<", -1]}]}}, {"a": [float(1)] * 20_000}, id="numbers as floats"
        ),
        pytest.param(
            {"data": {"a": ["x"]}}, parse_json('{"a":[' + "1.5," * 10_000 + "1]}"), id="literals and decimals"
        ),
        pytest.param(
            {"data": {"a": ["x"]}}, parse_json('{"a":[' + f"{'7' * 4_300}," * 230 + "1]}"), id="literals and digits"
        ),
        pytest.param({"data": {"a": ["x", {"suffix": "y"}]}}, {"a": [[[""] * 300] * 300]}, id="arrays in arrays"),
        pytest.param(
            {"data": {"a": {"b": {"c": [{"suffix": "x"}]}}}},
            {"a": [{"b": [{"c": [""] * 50}] * 50}] * 50},
            id="arrays of objects with arrays",
        ),
        pytest.param(
            {"$or": [{"data": {"a": [{"suffix": f"x{number}"}]}} for number in range(300)]},
            {"a": [""] * 1_000},
            id="or",
        ),
        pytest.param({"$not": {"data": {"a": SUFFIXES}}}, {"a": [""] * 1_000}, id="not"),
        pytest.param(
            {"$and": [{"$not": {"data": {"a": [{"suffix": f"x{number}"}]}}} for number in range(300)]},
            {"a": [""] * 1_000},
            id="and",
        ),
        pytest.param({"data": {"a": {"b": ["x"]}}}, {"a": [1] * 60_000}, id="objects that there are not"),
        pytest.param({"data": {"a": ["x", {"exists": False}]}}, {"a": [""] * 110_000}, id="exists and literals"),
    ],
)
def test_a_condition_that_multiplies_ends_at_its_budget(pattern: Any, data: Any) -> None:
    compiled = condition(pattern)
    work = Work(CONDITION_STEPS)
    with pytest.raises(WorkExceeded):
        compiled.matches(EventWithData(data), work)
    assert work.left > -CONDITION_STEPS


def test_an_event_without_arrays_takes_no_steps_beyond_the_weight() -> None:
    compiled = condition({"data": {"a": ["x", {"suffix": "y"}], "b": {"c": [{"numeric": [">", 1]}]}}})
    work = Work(0)
    assert compiled.matches(EventWithData({"a": "y", "b": {"c": 2}}), work)
    assert (work.left, compiled.weight) == (0, 5)


def test_an_event_of_usual_size_is_far_from_the_budget() -> None:
    lines = [{"sku": f"s{number}", "price": number} for number in range(1_000)]
    compiled = condition({"data": {"lines": {"sku": [{"prefix": "x"}], "price": [{"numeric": [">", 5_000]}]}}})
    assert not compiled.matches(EventWithData({"lines": lines}))


def test_numbers_of_very_many_digits_are_compared_quickly() -> None:
    """As ``int`` each of them took milliseconds."""
    data = parse_json('{"a":[' + "1e4299," * 3_000 + "1]}")
    began = time.process_time()
    for alternative in ([1], [{"anything-but": [2]}], [{"numeric": ["<", 1]}]):
        condition({"data": {"a": alternative}}).matches(EventWithData(data), Work(10**9))
    assert time.process_time() - began < 10


def test_a_new_filter_has_a_bounded_number_of_tests() -> None:
    with pytest.raises(InvalidFilter, match=r"1,501 tests.*at most 1,000") as refused:
        compile_condition(json.dumps({"data": {"a": [{"suffix": f"x{number}"} for number in range(1_500)]}}))
    assert [problem.path for problem in refused.value.problems] == ["$"]
    branches = [{"data": {"a": [f"x{number}"]}} for number in range(CONDITION_TESTS)]
    with pytest.raises(InvalidFilter, match="at most 1,000"):
        compile_condition(json.dumps({"$or": branches}))
    compile_condition(json.dumps({"data": {"a": [f"x{number}" for number in range(5_000)]}}))


def test_a_filter_of_before_still_works() -> None:
    large = EventFilter(
        id="f",
        workspace="w",
        name="f",
        types=(TypeSelection(namespace="events", code="Order"),),
        condition=json.dumps({"data": {"a": [{"suffix": f"x{number}"} for number in range(1_500)]}}),
        created_at=0,
        updated_at=0,
    )
    compiled = compile_filter(large)
    assert compiled is not None
    assert compiled.matches(EventWithData({"a": "ax7"}))


def test_timed_work_ends_with_its_time() -> None:
    compiled = condition({"data": {"a": SUFFIXES}})
    with pytest.raises(WorkExceeded, match="too long"):
        compiled.matches(EventWithData({"a": [""] * 100}), TimedWork(CONDITION_STEPS, time.monotonic() - 1))
    assert not compiled.matches(EventWithData({"a": [""] * 100}), TimedWork(CONDITION_STEPS, time.monotonic() + 60))
    with pytest.raises(WorkExceeded, match="too many steps"):
        compiled.matches(EventWithData({"a": [""] * 200}), TimedWork(CONDITION_STEPS, time.monotonic() + 60))
