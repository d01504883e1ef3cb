"""Rules of the house that import-linter has no contract for: no circles, and no families below the families.

Environment variables and metrics keep names with a family's in them.
"""

from __future__ import annotations

import ast
import functools
import re
import textwrap
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from families import registry
from schemas.model.access import HEADRACE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "backbone", "ingest_api", "stream_processors", "connectors", "operations")
TOUR = ROOT / "operations" / "tour"
"""It plays every family; so may ``families`` and ``processes``, which are not looked at."""

THEIRS = {folder: realm for folder, realm in registry.FAMILIES.items() if realm != HEADRACE}
"""The families but for our own API, and the schema registry, which takes its credentials."""

NAMES = {*THEIRS, *(folder.replace("_", "-") for folder in THEIRS), *THEIRS.values(), *registry.BODIES}

_BENCH = "the bench has clients of every family, as the tour has"

EXEMPT = {
    ("operations/bench/http_neighbours_setup.py", "crmls"): _BENCH,
    ("operations/bench/http_neighbours_setup.py", "eventhos"): _BENCH,
    ("operations/bench/http_neighbours_setup.py", "exchange"): _BENCH,
    ("operations/bench/http_neighbours_setup.py", "graphql"): _BENCH,
    ("operations/bench/http_neighbours_traffic.py", "event-service"): _BENCH,
    ("operations/bench/http_neighbours_traffic.py", "graphql"): _BENCH,
}
"""File and name, with the reason why it is there."""


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (path for path in sorted((ROOT / package).rglob("*.py")) if TOUR not in path.parents)


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(tree: ast.Module) -> set[str]:
    """The names of the modules that are imported, also for types only, and of what is taken from them."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {module, *(f"{module}.{each.name}" for each in node.names)}
    return found


def names_in(tree: ast.Module) -> set[str]:
    """The families' names that the code has as a text, or as a part of a path."""
    # What stands by itself is a docstring.
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in docstrings:
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            found |= NAMES & {text, *re.split(r"[/\s]", text)}
    return found


def test_no_family_is_imported_by_what_stands_below_the_families() -> None:
    importing = {
        str(path.relative_to(ROOT))
        for path in modules()
        for name in imports_of(tree_of(path))
        if name.partition(".")[0] == "families"
    }

    assert importing == set()


def test_no_family_is_named_by_what_stands_below_the_families() -> None:
    named = {(str(path.relative_to(ROOT)), name) for path in modules() for name in names_in(tree_of(path))}

    assert named - EXEMPT.keys() == set(), "move it into the family's folder, and pass it in by processes/"
    assert EXEMPT.keys() - named == set(), "take what is mended off the list"


def test_no_module_imports_itself_by_way_of_others() -> None:
    paths = [path for package in (*PACKAGES, "families", "processes") for path in (ROOT / package).rglob("*.py")]
    named = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
    imports = {name: (imports_of(tree_of(path)) & named.keys()) - {name} for name, path in named.items()}

    assert len(imports) > 400
    assert list(TopologicalSorter(imports).static_order())


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('realm = "crmls"', {"crmls"}),
        ('NAMES = {"graphql": 1}', {"graphql"}),
        ('path.startswith("/event-service/")', {"event-service"}),
        ('url = f"{node}/event-service/ws"', {"event-service"}),
        ('x = b"eventhos"', {"eventhos"}),
        ('realm == Realm("graphql")', {"graphql"}),
        ('"headrace", "cloudevents", "/schema-registry"', set()),
        ('"HEADRACE_INGEST_CRMLS_STRICT_JSON"', set()),
        ('"""crmls"""\ndef f():\n    """exchange"""', set()),
    ],
)
def test_a_name_is_found_wherever_code_has_it(code: str, found: set[str]) -> None:
    assert names_in(ast.parse(textwrap.dedent(code))) == found


def test_an_import_is_found_wherever_code_has_it() -> None:
    code = """
import families.crmls
if TYPE_CHECKING:
    from families.envoy.model import X
def f():
    from families import http
"""

    assert imports_of(ast.parse(code)) == {
        "families",
        "families.crmls",
        "families.envoy.model",
        "families.envoy.model.X",
        "families.http",
    }
