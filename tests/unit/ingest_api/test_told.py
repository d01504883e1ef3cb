"""What callers are told while something is unavailable: what happened and what to do, and nothing of the inside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from families.http import families
from ingest_api import problems
from schemas.model import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

INSIDE = "produce: Local: No leaders found (_NOENT), the tail idempotency did not catch up"


def kinds(base: type[errors.Unavailable] = errors.Unavailable) -> Iterator[type[errors.Unavailable]]:
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


@pytest.mark.parametrize("kind", [*kinds()])
def test_every_family_tells_what_happened_and_what_to_do(kind: type[errors.Unavailable]) -> None:
    error = kind(INSIDE)
    assert re.search(r"[Rr]epeat", error.told)
    for render in (*(family.render for family in families()), problems.render):
        response = render(error)
        text = response.body.decode()
        assert error.told in text
        assert "_NOENT" not in text
        assert "the tail" not in text
