"""Numbers that are too long are found whatever stands around them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.model.numbers import MOST_DIGITS, has_too_many_digits

_TEXT_OR_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[-+.\deE]{4301,}', re.DOTALL)
_PIECES = (
    b"1" * MOST_DIGITS,
    b"1" * (MOST_DIGITS + 1),
    b"." * (MOST_DIGITS + 1),
    b"1" * 2_200 + b"." + b"2" * 2_101,
    b'"' + b"1" * 4_400 + b'"',
    *(b'"', b"\\", b'\\"', b",", b"a", b'"x"', b"1", b"-", b"true"),
)


@given(st.lists(st.sampled_from(_PIECES), max_size=8))
def test_a_number_is_found_as_token_by_token(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    runs = (found.group() for found in _TEXT_OR_NUMBER.finditer(data))
    expected = any(run[:1] != b'"' and sum(map(run.count, b"0123456789")) > MOST_DIGITS for run in runs)
    assert has_too_many_digits(data) == expected


@pytest.mark.parametrize("around", [b'"', b""])
def test_many_texts_before_a_long_number(around: bytes) -> None:
    data = b"[%b,%b%b%b]" % (b",".join([b'""'] * 100_000), around, b"1" * (MOST_DIGITS + 1), around)
    assert has_too_many_digits(data) == (not around)
