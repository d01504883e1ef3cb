from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.conformance import table
from tests.conformance.outcomes import Outcomes, by_id, case_of

if TYPE_CHECKING:
    from pathlib import Path

LISTED = table.sections("# about\n\n## One\nA-01 first\nA-05 fifth\n\n## Two\nA-09 ninth\nB-02 second\n")


def report(name: str, outcome: str, when: str = "call") -> pytest.TestReport:
    node = f"tests/conformance/test_a.py::{name}"
    return pytest.TestReport(node, ("", 0, ""), {}, outcome, None, when)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("test_A_07_two_levels_are_refused[x]", ("A-07", "two levels are refused")),
        ("test_z_02_no_success", ("Z-02", "no success")),
        ("test_a_body_is_refused[C-34 POST /api]", ("C-34", "a body is refused")),
        ("test_a_body_is_refused[POST /api]", None),
        ("test_a_code_is_kept", None),
    ],
)
def test_the_id_of_a_case_is_in_the_name_of_its_test(name: str, case: tuple[str, str] | None) -> None:
    assert case_of(f"tests/test_x.py::{name}") == case


def test_a_case_passes_when_all_its_tests_do(tmp_path: Path) -> None:
    path = tmp_path / "build" / "conformance.json"
    outcomes = Outcomes(path, is_whole=True)
    for each in (
        report("test_A_01_setup_counts_only_when_it_fails", "passed", "setup"),
        report("test_A_01_one", "passed"),
        report("test_A_01_other", "failed"),
        report("test_A_02_one", "passed"),
        report("test_A_03_one", "skipped", "setup"),
        report("test_none", "failed"),
    ):
        outcomes.pytest_runtest_logreport(each)
    outcomes.pytest_sessionfinish()
    written = json.loads(path.read_text())
    assert {case: each["outcome"] for case, each in written.items()} == {
        "A-01": "failed",
        "A-02": "passed",
        "A-03": "skipped",
    }


def test_a_run_of_some_tests_adds_to_what_was_known(tmp_path: Path) -> None:
    path = tmp_path / "conformance.json"
    for is_whole, name in ((True, "test_A_01_one"), (False, "test_A_02_two"), (True, "test_A_03_three")):
        outcomes = Outcomes(path, is_whole=is_whole)
        outcomes.pytest_runtest_logreport(report(name, "passed"))
        outcomes.pytest_sessionfinish()
        if not is_whole:
            assert list(json.loads(path.read_text())) == ["A-01", "A-02"]
    assert list(json.loads(path.read_text())) == ["A-03"]


def test_a_run_without_cases_leaves_what_was_known(tmp_path: Path) -> None:
    path = tmp_path / "conformance.json"
    Outcomes(path, is_whole=True).pytest_sessionfinish()
    assert not path.exists()


def test_cases_that_only_tests_know_are_shown_among_those_around_them() -> None:
    known = {"outcome": "passed", "test": "tested"}
    cases = table.complete(LISTED, {"A-03": known, "A-07": known, "A-12": known, "B-02": known})
    assert {title: list(members) for title, members in cases.items()} == {
        "One": ["A-01", "A-03", "A-05"],
        "Two": ["A-07", "A-09", "A-12", "B-02"],
    }


def test_what_has_no_test_is_a_gap() -> None:
    outcomes = {"A-01": {"outcome": "passed", "test": "first"}, "A-05": {"outcome": "failed", "test": "fifth"}}
    assert "| One | 2 | 1 | 1 | 0 |  |" in table.summary(LISTED, outcomes)
    assert "| Two | 2 | 0 | 0 | 0 | A-09, B-02 |" in table.summary(LISTED, outcomes)
    assert "| A-05 | fifth | **failed** |" in table.page(LISTED, outcomes)
    assert "| A-09 | ninth | **gap** |" in table.page(LISTED, outcomes)


def test_the_list_of_cases_is_in_order_and_has_each_once() -> None:
    listed = table.sections((table.ROOT / "tests" / "conformance" / "cases.txt").read_text())
    ids = [case for cases in listed.values() for case in cases]
    assert len(set(ids)) == len(ids)
    assert all(list(cases) == sorted(cases, key=by_id) for cases in listed.values())
