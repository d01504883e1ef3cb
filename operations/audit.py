"""``python -m operations.audit``: known vulnerabilities of the pinned packages and of the local broker's jars.

They are asked of OSV (https://osv.dev), which has the advisories of PyPI and Maven. With any, the exit code is 1.
Where it cannot be reached nothing is audited, which a line says, and the exit code is 0.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Ask = Callable[[Sequence[dict[str, Any]]], list[dict[str, Any]]]

SOURCE = "https://api.osv.dev/v1/querybatch"
_TIMEOUT = 20.0
_TOGETHER = 500


def pinned(constraints: str) -> list[dict[str, Any]]:
    """OSV's queries for the lines of a constraints file."""
    pairs = (line.split(";")[0].strip().split("==") for line in constraints.splitlines() if "==" in line)
    return [
        {"package": {"name": name.split("[")[0].strip(), "ecosystem": "PyPI"}, "version": version}
        for name, version in pairs
    ]


def jars(listed: str) -> list[dict[str, Any]]:
    """OSV's queries for the jars of ``jars.json``."""
    parts = (coordinates.split(":") for coordinates in json.loads(listed))
    return [
        {"package": {"name": f"{group}:{artifact}", "ecosystem": "Maven"}, "version": version}
        for group, artifact, version in parts
    ]


def audit(queries: Sequence[dict[str, Any]], ask: Ask) -> tuple[int, list[str]]:
    """The exit code, and what to print."""
    lines = []
    try:
        for start in range(0, len(queries), _TOGETHER):
            some = queries[start : start + _TOGETHER]
            for query, answer in zip(some, ask(some), strict=True):
                ids = ", ".join(each["id"] for each in answer.get("vulns", ()))
                if ids:
                    lines.append(f"{query['package']['name']} {query['version']}: {ids} (https://osv.dev)")
    except OSError as error:
        return 0, [f"No source of advisories can be reached ({SOURCE}: {error}). Nothing was audited."]
    if lines:
        return 1, lines
    return 0, [f"No known vulnerability in {len(queries)} packages and jars."]


def _ask(queries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    body = json.dumps({"queries": queries}).encode()
    request = urllib.request.Request(SOURCE, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310  # the address is a constant
        found: list[dict[str, Any]] = json.load(answer)["results"]
    return found


def main() -> int:
    """Audit what ``constraints.txt`` and ``jars.json`` name."""
    constraints = Path("constraints.txt").read_text(encoding="utf-8")
    listed = resources.files("operations.broker").joinpath("jars.json").read_text(encoding="utf-8")
    status, lines = audit([*pinned(constraints), *jars(listed)], _ask)
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
