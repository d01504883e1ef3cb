"""Which bodies count as compressed."""

from __future__ import annotations

import pytest

from ingest_api import problems
from ingest_api.http import CODED, is_coded
from schemas.model.errors import UnsupportedCoding

NAME = b"content-encoding"


@pytest.mark.parametrize(
    "values",
    [[b"gzip"], [b"GZIP"], [b"br, gzip"], [b"identity, gzip"], [b"gzip", b"identity"], [b"frob"], [b"x-gzip;q=1"]],
)
def test_a_coding_in_any_header_counts(values: list[bytes]) -> None:
    assert is_coded([(NAME, value) for value in values])


@pytest.mark.parametrize(
    "values", [[], [b"identity"], [b"Identity"], [b""], [b"identity, identity"], [b" identity ", b""]]
)
def test_the_body_as_it_is_is_not_coded(values: list[bytes]) -> None:
    assert not is_coded([(b"accept-encoding", b"gzip"), *((NAME, value) for value in values)])


def test_the_answer_says_which_codings_are_taken() -> None:
    assert (b"accept-encoding", b"identity") in problems.render(UnsupportedCoding(CODED)).headers
