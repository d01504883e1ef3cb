"""Text that is not UTF-8, or has half of a character."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api import problems, text
from ingest_api.text import check_body, check_target
from schemas.model.errors import InvalidRequest, MalformedBody, NotFound

WHOLE = [
    b"",
    b"{}",
    '{"a":"é😀"}'.encode(),
    rb'"\ud83d\ude00"',
    rb'"\uD83D\uDE00"',
    rb'"\\ud800"',
    rb'"\u00e9 \\\\udfff"',
    b"\\",
]
BROKEN = [
    (b'"a\xae"', 2),
    (b'"\xed\xa0\x80"', 1),
    (b'"\xc0\x80"', 1),
    (b'"\xf4\x90\x80\x80"', 1),
    (b'"\xf0\x9f\x98"', 1),
    (rb'"\ud800"', 1),
    (rb'"\uDFFF"', 1),
    (rb'"\ude00\ud83d"', 1),
    (rb'"\ud83d\u0041"', 1),
    (rb'"\\\ud800"', 3),
    (rb'"\ud83d\ude00\ude00"', 13),
    (rb'{"\ud800":1}', 2),
]


@pytest.mark.parametrize("body", WHOLE)
def test_whole_characters_are_let_through(body: bytes) -> None:
    check_body(body)


@pytest.mark.parametrize(("body", "at"), BROKEN)
def test_a_body_that_has_no_characters_is_refused_with_the_place(body: bytes, at: int) -> None:
    with pytest.raises(MalformedBody, match=rf"\bbyte {at}\b"):
        check_body(body)


_ESCAPE = re.compile(
    rb"""
    \\(?: u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2}
      | (?P<half> u[dD][89a-fA-F][0-9a-fA-F]{2} )
      | . )
    """,
    re.VERBOSE | re.DOTALL,
)
"""One escape after the other, which says the same of a body and takes a second for a megabyte of them."""

_PIECES = (
    *(rb"\ud83d\ude00", rb"\ud83d", rb"\uDE00", rb"\\", rb"\n", rb"\u0041", rb"\uD8", rb"\ud8zz"),
    *(b"\\", b"u", b"d", b"8f", b"x"),
)


@given(st.lists(st.sampled_from(_PIECES), max_size=12))
def test_a_body_is_looked_through_in_parts_as_escape_by_escape(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    halves = [each.start() for each in _ESCAPE.finditer(body) if each["half"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_PART", 17)
        if not halves:
            check_body(body)
            return
        with pytest.raises(MalformedBody, match=rf"\bbyte {halves[0]}\b"):
            check_body(body)


@pytest.mark.parametrize("part", [b"", b"/a", b"/%C3%A9", b"a=%41&b=%E2%82%AC", b"%", b"%zz"])
def test_a_target_in_utf_8_is_let_through(part: bytes) -> None:
    check_target(part, b"")
    check_target(b"/", part)


@pytest.mark.parametrize("part", [b"%ff", b"%ED%A0%80", b"a%C3", b"%c0%80", b"%C3x%A9"])
def test_a_target_in_something_else_is_refused(part: bytes) -> None:
    for path, query, where in ((part, b"", "path"), (b"/", part, "query")):
        with pytest.raises(InvalidRequest) as refused:
            check_target(path, query)
        assert [problem.path for problem in refused.value.problems] == [where]


def test_an_error_that_cannot_be_encoded_is_the_requests_fault() -> None:
    answer = problems.rendered(NotFound("There is no filter \ud800."), problems.render)
    assert answer.status == 400
    assert b"surrogate" in answer.body
