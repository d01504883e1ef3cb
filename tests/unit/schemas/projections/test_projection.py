"""Projections: exact numbers, errors with their place, and expressions that would explode."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from schemas.model.errors import InvalidProjection, ProjectionFailed, WorkExceeded
from schemas.projections.projection import MOST_BYTES, Projection
from schemas.projections.syntax import LONGEST
from schemas.security.budget import Work

EVENT = (
    b'{"specversion":"1.0","id":"1","source":"shop","type":"Order","data":{"total":125.50,"far":1e400,"none":-0,'
    b'"long":123456789012345678901234567890,"name":"\xc5\xbdlu\\ud800","items":[{"n":3,"sku":"c"},{"n":1.0,"sku":"a"},'
    b'{"n":2,"sku":"b"}],"tags":["x","y"],"empty":null}}'
)


def projected(expression: str, document: bytes = EVENT) -> bytes:
    return Projection(expression)(document).body


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("data.total", b"125.50"),
        ("data.[far, none, long]", b"[1e400,-0,123456789012345678901234567890]"),
        ("{b: data.total, a: id}", b'{"b":125.50,"a":"1"}'),
        ("data.items[*].n", b"[3,1.0,2]"),
        ("data.items[*].n | sort(@)", b"[1.0,2,3]"),
        ("sort_by(data.items, &n)[*].sku", b'["a","b","c"]'),
        ("max_by(data.items, &n).sku", b'"c"'),
        ("data.items[?n > `1.5`].sku", b'["c","b"]'),
        ("data.items[?n == `1`].n", b"[1.0]"),
        ("data.none == `0`", b"true"),
        ("contains(data.items[*].n, `1`)", b"true"),
        ("contains(`[true]`, `1`)", b"false"),
        ("sum([`0.1`, `0.2`])", b"0.3"),
        ("sum([`123456789012345678901234567890`, `0.5`])", b"123456789012345678901234567890.5"),
        ("avg([`1`, `2`])", b"1.5"),
        ("abs(`-125.50`)", b"125.50"),
        ("ceil(data.total)", b"126"),
        ("floor(`-0.5`)", b"-1"),
        ("ceil(`[1e400, 2.0, 1e9999999999999999999999]`[2])", b"1e9999999999999999999999"),
        ("abs(`-1e9999999999999999999999`)", b"1e9999999999999999999999"),
        ("sort(`[1e9999999999999999999999, 1]`)", b"[1,1e9999999999999999999999]"),
        ("to_number('125.50')", b"125.50"),
        ("not_null(to_number('1_0'), 'no')", b'"no"'),
        ("to_string(data.items[1])", b'"{\\"n\\":1.0,\\"sku\\":\\"a\\"}"'),
        ("type(data.far)", b'"number"'),
        ("data.name", b'"\\u017dlu\\ud800"'),
        (
            "merge(@, {data: data.{total: total}})",
            b'{"specversion":"1.0","id":"1","source":"shop","type":"Order","data":{"total":125.50}}',
        ),
        ("`125.50`", b"125.50"),
        ("[data.empty, data.missing]", b"[null,null]"),
        ("'é'", '"é"'.encode()),
    ],
)
def test_numbers_come_out_as_they_were_sent_and_members_in_their_order(expression: str, result: bytes) -> None:
    assert projected(expression) == result


def test_a_result_with_the_attributes_of_a_cloudevent_is_one() -> None:
    assert Projection("merge(@, {data: `1`})")(EVENT).is_cloudevent
    assert not Projection("{id: id, type: type}")(EVENT).is_cloudevent
    assert not Projection("data.tags")(EVENT).is_cloudevent


@pytest.mark.parametrize(
    ("expression", "position", "message"),
    [
        ("data.[total", 11, "ends too early"),
        ("data..total", 5, "'.' is not expected"),
        ("data | unknown(@)", 7, "no function unknown()"),
        ("id || length(@, @)", 6, "length() takes 1 arguments"),
        ("data == `x`", 8, "must be JSON"),
        ("data == `NaN`", 8, "must be JSON"),
        ('data."open', 5, "Unclosed"),
        ("data.items[::0]", 5, "steps of 0"),
        ("a" * (LONGEST + 1), LONGEST, "more than 4,096 characters"),
        ("(" * 4_000, 0, "nested"),
        ("a[?" * 60 + "a" + "]" * 60, 147, "nested"),
        ("a" + ".a" * 600, 998, "more than 500 parts"),
        ("data $ id", 5, ""),
        ("&id", 0, "is no value"),
        ("{a: id, b: &id}", 11, "is no value"),
        ("[id, &id]", 5, "is no value"),
        ("to_string(&id)", 10, "is no value"),
        ("id | not_null(id, &id)", 18, "is no value"),
        ("sort_by(data.items, n)", 0, "argument 2 of sort_by() is an expression"),
    ],
)
def test_an_expression_that_is_none_is_refused_with_its_place(expression: str, position: int, message: str) -> None:
    with pytest.raises(InvalidProjection) as raised:
        Projection(expression)
    (problem,) = raised.value.problems
    assert (raised.value.position, problem.path) == (position, "$.expression")
    assert message in problem.message
    assert f"at position {position}" in problem.message


@pytest.mark.parametrize(
    ("expression", "position", "reason"),
    [
        ("{id: id, n: sum(data.name)}", 12, "sum() does not take a value of type string"),
        ("data.missing", 0, "gives null"),
        ("{n: sum([`1e4000`, `1e-4000`])}", 4, "more than 4,300 digits"),
        ("sum(`[1e9999999999999999999999]`)", 0, "more than 4,300 digits"),
        ("sort_by([{k: `1`}, {k: 'a'}], &k)", 0, "sort_by() does not take"),
        ("id | avg(@)", 5, "avg() does not take a value of type string"),
    ],
)
def test_one_that_fails_on_an_event_says_where_and_nothing_of_the_event(
    expression: str, position: int, reason: str
) -> None:
    with pytest.raises(ProjectionFailed) as raised:
        projected(expression)
    assert raised.value.position == position
    assert reason in raised.value.reason
    assert "Žlu" not in str(raised.value)


DOUBLED = " | ".join(["[@, @]"] * 40)


@pytest.mark.parametrize(
    "expression",
    [
        DOUBLED,
        f"{DOUBLED} | to_string(@)",
        " | ".join(["[@, @][]"] * 40),
        f"[{DOUBLED}, {DOUBLED}] | [0] == [1]",
        f"{DOUBLED} | contains([@], `[[]]`) || @",
        " | ".join(["'" + "x" * 500 + "'", *["join('', [@, @])"] * 40]),
        " | ".join([*["[@, @][]"] * 14, *["sort_by([@, @][], &to_string(@))"] * 3, "[@, @][]"]),
        " | ".join(["[@, @][]"] * 13 + ["map(&[@, @], @)"] * 9),
        " | ".join([*["{a: @, b: @}"] * 40, "to_string(@)"]),
        f"[?{DOUBLED} == {DOUBLED}]" + " || @" * 3 + " | merge(@, @)",
    ],
)
def test_what_would_explode_ends_in_time(expression: str) -> None:
    began = time.perf_counter()
    with pytest.raises((ProjectionFailed, InvalidProjection)):
        projected(expression, json.dumps({"a": ["x"] * 100}).encode())
    assert time.perf_counter() - began < 5


def test_a_result_that_is_too_large_is_none() -> None:
    document = json.dumps({"text": "é" * (MOST_BYTES // 2)}).encode()
    with pytest.raises(ProjectionFailed, match="more than 1,048,576 bytes"):
        projected("text", document)
    with pytest.raises(ProjectionFailed, match="more than 1,048,576 characters"):
        projected("[text, text]", document)


def test_the_steps_are_the_callers() -> None:
    projection = Projection("data.items[*].n")
    assert projection(EVENT, Work(50)).body == b"[3,1.0,2]"
    with pytest.raises(ProjectionFailed) as raised:
        projection(EVENT, Work(5))
    assert isinstance(raised.value.__cause__, WorkExceeded)


def test_nothing_of_one_evaluation_is_left_for_the_next() -> None:
    projection = Projection("data.items[?n > `1`].sku")
    first: Any = projection(EVENT)
    with pytest.raises(ProjectionFailed):
        Projection("sum(data)")(EVENT)
    assert projection(EVENT) == first
