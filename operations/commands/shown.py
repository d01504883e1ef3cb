"""How commands print what the API answers: tables for people, JSON as it came for programs."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table

from operations.telling import tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that steer a terminal, or turn the direction of what follows."""

_WIDE = 10_000
"""Columns of an output that is no terminal: nothing is cut off there."""


def show_json(value: bytes | Sequence[msgspec.Raw] | Mapping[str, Any]) -> None:
    """Print JSON; of an answer's text, numbers stay as they were written."""
    text = value if isinstance(value, bytes) else msgspec.json.encode(value)
    print(msgspec.json.format(text, indent=2).decode())


def show_line(value: bytes | msgspec.Raw) -> None:
    """Print JSON on one line, at once."""
    print(msgspec.json.format(bytes(value), indent=-1).decode(), flush=True)


def show_items(
    items: Sequence[msgspec.Raw],
    columns: Mapping[str, str],
    *,
    as_json: bool,
    none: str,
    nulls: Mapping[str, str] | None = None,
) -> None:
    """Print a list.

    Args:
        items: as the API answered.
        columns: the member that each column shows, such as ``state.status``, by its title.
        as_json: print all members as JSON.
        none: what is told of an empty list, on standard error.
        nulls: the text for a member that is null, by the member; nothing unless given.
    """
    if as_json:
        show_json(items)
    elif items:
        texts = nulls or {}
        rows = ({path: member(json.loads(bytes(each)), path) for path in columns.values()} for each in items)
        show_rows(
            columns, ([texts.get(path) if value is None else value for path, value in row.items()] for row in rows)
        )
    else:
        tell(none, "yellow")


def show_rows(titles: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table."""
    table = Table(*titles, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(printed(value) for value in row))
    _console().print(table, markup=False)


def show_members(resource: Mapping[str, Any], *without: str) -> None:
    """Print one resource, a member a line; members without a value are left out."""
    shown = {
        name: printed(value)
        for name, value in resource.items()
        if name not in without and value not in (None, "", [], {})
    }
    longest = max(map(len, shown), default=0)
    for name, value in shown.items():
        print(f"{name:<{longest}}  {value}")


def show_resource(resource: bytes | Mapping[str, Any], *, as_json: bool) -> None:
    """Print one resource as the API answered it: JSON, or a member a line."""
    if as_json:
        show_json(resource)
    else:
        show_members(json.loads(resource) if isinstance(resource, bytes) else resource)


def member(resource: Any, path: str) -> Any:
    """The value at a path of names with dots; None where there is none."""
    for name in path.split("."):
        resource = resource.get(name) if isinstance(resource, dict) else None
    return resource


def printed(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def plain(text: str) -> str:
    """A text that a terminal takes for nothing but text: names and data are written by those who may publish."""
    return _COMMANDS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False, emoji=False)
