from __future__ import annotations

from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from operations.audit import audit, jars, pinned
from operations.sbom import document

if TYPE_CHECKING:
    from collections.abc import Sequence

QUERIES = pinned("aiohttp==3.1\nuvicorn[standard]==2 ; python_version > '3'\n# nothing\n")


def test_what_is_pinned_is_asked_for() -> None:
    assert QUERIES == [
        {"package": {"name": "aiohttp", "ecosystem": "PyPI"}, "version": "3.1"},
        {"package": {"name": "uvicorn", "ecosystem": "PyPI"}, "version": "2"},
    ]
    root = Path(__file__).parents[3]
    assert len(pinned((root / "constraints.txt").read_text())) > 50
    listed = jars(resources.files("operations.broker").joinpath("jars.json").read_text())
    assert {"name": "org.apache.kafka:kafka-clients", "ecosystem": "Maven"} in [each["package"] for each in listed]


def test_vulnerabilities_are_named_and_fail() -> None:
    def ask(queries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"vulns": [{"id": "GHSA-1"}, {"id": "GHSA-2"}]}, *({} for _ in queries[1:])]

    assert audit(QUERIES, ask) == (1, ["aiohttp 3.1: GHSA-1, GHSA-2 (https://osv.dev)"])


def test_none_is_said() -> None:
    assert audit(QUERIES, lambda queries: [{} for _ in queries]) == (
        0,
        ["No known vulnerability in 2 packages and jars."],
    )


def test_where_nothing_can_be_reached_that_is_said_and_no_failure() -> None:
    def ask(_queries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        raise OSError("no route")

    status, (line,) = audit(QUERIES, ask)
    assert status == 0
    assert line.startswith("No source of advisories can be reached")
    assert "Nothing was audited" in line


def test_the_bill_of_materials_has_every_package_but_ours() -> None:
    found = document()
    names = {each["name"] for each in found["components"]}
    assert {"confluent-kafka", "fastapi", "pydantic"} <= names
    assert "headrace" not in names
    assert found["metadata"]["component"]["version"] == metadata.version("headrace")
