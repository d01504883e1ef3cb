"""What became of each conformance case in a test run: ``build/conformance.json``, case id → outcome.

A case's id is in the names of its tests: ``test_A_07_…`` belongs to case ``A-07``. So does ``test_…[A-07 …]``, a row of
a test for several documents. A case passes when all its tests do.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_CASE = re.compile(r"::test_([a-z])_(\d+)_(\w+)", re.IGNORECASE)
_ROW = re.compile(r"::test_(\w+)\[([A-Z])-(\d+) ")
_WORST_FIRST = ("failed", "skipped", "passed")


@dataclass(kw_only=True)
class Outcome:
    """One case: ``passed``, ``failed`` or ``skipped``, and what its first test is called, in words."""

    outcome: str
    test: str


def case_of(node_id: str) -> tuple[str, str] | None:
    """The case of a test and the rest of its name in words; None for a test that belongs to none."""
    if row := _ROW.search(node_id):
        name, letter, number = row.groups()
    elif found := _CASE.search(node_id):
        letter, number, name = found.groups()
    else:
        return None
    return f"{letter.upper()}-{number}", name.replace("_", " ")


class Outcomes:
    """Notes the outcomes of a run and writes them at its end.

    Args:
        path: the file.
        is_whole: whether the run is one of all tests. Any other adds to what the file has.
    """

    def __init__(self, path: Path, *, is_whole: bool) -> None:
        self._path = path
        self._is_whole = is_whole
        self._cases: dict[str, Outcome] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Every test has a report for its setup, its call and its teardown; with workers they all come here."""
        case = case_of(report.nodeid)
        if case is None or (report.when != "call" and report.passed):
            return
        name, test = case
        noted = self._cases.setdefault(name, Outcome(outcome=report.outcome, test=test))
        noted.outcome = min(noted.outcome, report.outcome, key=_WORST_FIRST.index)

    def pytest_sessionfinish(self) -> None:
        """Write them."""
        if self._cases:
            known = json.loads(self._path.read_text()) if self._path.exists() and not self._is_whole else {}
            known |= {name: vars(case) for name, case in self._cases.items()}
            self._path.parent.mkdir(exist_ok=True)
            self._path.write_text(json.dumps({name: known[name] for name in sorted(known, key=by_id)}, indent=1) + "\n")


def by_id(case: str) -> tuple[str, int]:
    """Sorts ids as people count."""
    letter, number = case.split("-")
    return letter, int(number)
