"""Every cause is on the page about the command."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_every_cause_is_on_the_page_and_no_other() -> None:
    sources = "".join(each.read_text(encoding="utf-8") for each in (ROOT / "operations" / "doctor").glob("*.py"))
    causes = set(re.findall(r'(?:fault|warning|kind)\(\s*"([a-z-]+)"', sources))
    causes |= set(re.findall(r'"(kafka-\w+)"', sources))
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.split("## What it finds")[1].splitlines() if line.startswith("| `")]
    assert causes == {cause for row in rows for cause in re.findall(r"`([a-z-]+)`", row)}
