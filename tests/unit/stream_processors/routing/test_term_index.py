"""What an index of terms finds in arrays, whose elements it goes through by kind."""

from __future__ import annotations

import time

import pytest

from schemas.avro.layout import parse_json
from schemas.filters.conditions import compile_condition
from stream_processors.routing.term_index import TermIndex
from tests.support.event_with_data import EventWithData


def index(*literals: str, path: str = "a") -> TermIndex[str]:
    """One item for each literal, which is its name."""
    pattern = (
        '{"data": {' + '": {'.join(f'"{name}' for name in path.split(".")) + '": [LITERAL]' + "}" * path.count(".")
    )
    terms = [compile_condition(pattern.replace("LITERAL", each) + "}}").equality_terms() for each in literals]
    return TermIndex(list(zip(literals, terms, strict=True)))


def found(literals: list[str], data: str, path: str = "a") -> set[str]:
    return set(index(*literals, path=path).find(EventWithData(parse_json(data))))  # type: ignore[arg-type]


LONG = "7" * 70


@pytest.mark.parametrize(
    ("elements", "fitting"),
    [
        ('["x", "y"]', {'"x"'}),
        ("[1, 2.5]", {"1", "2.5"}),
        ("[1.0]", {"1"}),
        ("[1e0]", {"1"}),
        ("[2.50]", {"2.5"}),
        ("[0.1, 0.1000000000000000055511151231257827]", {"0.1", "0.1000000000000000055511151231257827"}),
        ("[0.1000000000000000055511151231257827]", {"0.1000000000000000055511151231257827"}),
        ("[true]", {"true"}),
        ("[1, true]", {"1", "true"}),
        ("[null]", {"null"}),
        (f"[{LONG}]", {LONG}),
        (f"[{LONG}.0]", {LONG}),
        ('[[], [[]], {}, {"b": "x"}]', set()),
        ('[["y", ["x"]], [[[2.5]]]]', {'"x"', "2.5"}),
        ('["1", "true", "null"]', set()),
    ],
)
def test_an_element_of_any_kind_is_found_by_its_value(elements: str, fitting: set[str]) -> None:
    literals = ['"x"', "1", "2.5", "0.1", "0.1000000000000000055511151231257827", "true", "null", LONG]
    assert found(literals, f'{{"a": {elements}}}') == fitting


@pytest.mark.parametrize(
    ("elements", "fitting"),
    [
        ('[{"b": "x"}, {"b": "z", "c": 5}]', {'"x"'}),
        ('[{"b": ["z", "x"], "c": 1}]', {'"x"'}),
        ('[{"b": 1.0}, {"b": {"b": "x"}}]', {"1"}),
        ('[{"c": "x"}, "x", 1]', set()),
        ('[[{"b": "x"}], {"b": null}]', {'"x"', "null"}),
    ],
)
def test_a_member_of_an_element_is_found(elements: str, fitting: set[str]) -> None:
    assert found(['"x"', "1", "null"], f'{{"a": {elements}}}', "a.b") == fitting


@pytest.mark.parametrize("element", ['"xy"', "7", "1.25", '{"b":"x"}', "[]"])
def test_a_long_array_is_gone_through_quickly(element: str) -> None:
    """The router does nothing else meanwhile, and no budget counts it."""
    terms = index('"q"', "5", path="a.b")
    event = EventWithData(parse_json(f'{{"a": [{",".join([element] * (900_000 // (len(element) + 1)))}]}}'))
    started = time.process_time()
    assert not list(terms.find(event))  # type: ignore[arg-type]
    assert time.process_time() - started < 1.0
