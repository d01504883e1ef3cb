"""Writes the conformance table of the last test run: a summary into README.md, every case into docs/conformance.md.

``make test`` leaves the outcomes in ``build/conformance.json``; ``cases.txt`` says which cases there are. A case that
has no test, or whose tests were not in the run, is shown as a gap.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# A script finds only what is beside it.
sys.path.insert(0, str(ROOT))

from tests.conformance.outcomes import by_id  # noqa: E402 - see above

BEGIN, END = "<!-- conformance -->", "<!-- /conformance -->"
_SIGNS = {"passed": "passed", "failed": "**failed**", "skipped": "not run", "gap": "**gap**"}

Sections = dict[str, dict[str, str]]
Outcomes = dict[str, dict[str, Any]]


def sections(text: str) -> Sections:
    """``cases.txt``: the title of each section → its cases → what is checked."""
    found: Sections = {}
    for line in text.splitlines():
        if line.startswith("## "):
            found[line.removeprefix("## ")] = {}
        elif line and not line.startswith("#"):
            case, words = line.split(" ", 1)
            found[list(found)[-1]][case] = words
    return found


def complete(listed: Sections, outcomes: Outcomes) -> Sections:
    """With the cases that only tests know, each in the section that the ids around it are in."""
    last = {cases_id: title for title, cases in listed.items() for cases_id in cases}
    made = {title: dict(cases) for title, cases in listed.items()}
    for case, outcome in outcomes.items():
        if case not in last:
            near = [each for each in last if each[0] == case[0]]
            after = [each for each in near if by_id(each) > by_id(case)] or [near[-1]]
            made[last[after[0]]][case] = outcome["test"]
    return {title: dict(sorted(cases.items(), key=lambda each: by_id(each[0]))) for title, cases in made.items()}


def outcome_of(case: str, outcomes: Outcomes) -> str:
    """``passed``, ``failed``, ``skipped`` or ``gap``."""
    return str(outcomes[case]["outcome"]) if case in outcomes else "gap"


def summary(cases: Sections, outcomes: Outcomes) -> str:
    """One row for each section."""
    lines = ["| document | cases | passed | failed | not run | gaps |", "|---|---:|---:|---:|---:|---|"]
    for title, members in cases.items():
        count = Counter(outcome_of(case, outcomes) for case in members)
        gaps = ", ".join(case for case in members if outcome_of(case, outcomes) == "gap")
        lines.append(
            f"| {title} | {len(members)} | {count['passed']} | {count['failed']} | {count['skipped']} | {gaps} |"
        )
    return "\n".join(lines)


def page(cases: Sections, outcomes: Outcomes) -> str:
    """Every case."""
    lines = [
        "# Conformance",
        "",
        "Every case is checked against the running gateway on real Kafka; `make test` runs them, `make conformance`",
        "writes this page. The tests carry the ids in their names.",
    ]
    for title, members in cases.items():
        lines += ["", f"## {title}", "", "| case | what is checked | |", "|---|---|---|"]
        lines += [f"| {case} | {words} | {_SIGNS[outcome_of(case, outcomes)]} |" for case, words in members.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Render both."""
    outcomes: Outcomes = json.loads((ROOT / "build" / "conformance.json").read_text())
    cases = complete(sections((ROOT / "tests" / "conformance" / "cases.txt").read_text()), outcomes)
    readme = ROOT / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(f"{before}{BEGIN}\n{summary(cases, outcomes)}\n{END}{after}")
    (ROOT / "docs" / "conformance.md").write_text(page(cases, outcomes))


if __name__ == "__main__":
    main()
