"""A test without the Kafka that it needs is skipped at home, and fails under CI."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from operations.errors import CannotStart
from tests.support.without_kafka import not_run

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("ci", [None, "", "0", "false"])
def test_it_is_skipped_at_home(ci: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(pytest.skip.Exception, match="FOR WANT OF A KAFKA: no Java"):
        not_run("a Kafka", CannotStart("no Java"))


@pytest.mark.parametrize("ci", ["true", "1", "woodpecker"])
def test_it_fails_under_ci(ci: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(pytest.fail.Exception, match="FOR WANT OF A KAFKA: no Java"):
        not_run("a Kafka", CannotStart("no Java"))


def test_no_test_skips_by_itself_when_a_broker_cannot_start() -> None:
    skips = re.compile(r"except CannotStart\b[^\n]*\n(?:(?!\n\n).)*?pytest\.skip\(", re.DOTALL)
    assert [path.name for path in TESTS.rglob("*.py") if skips.search(path.read_text(encoding="utf-8"))] == []
