"""``headrace balance``: does what was matched add up with what became of it?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.commands.calling import Json, calling
from operations.commands.shown import show_items, show_json, show_rows
from operations.commands.times import HELP, query
from operations.help_sections import LOOK
from operations.telling import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    import msgspec

    from operations.api.client import OwnApi

_EXAMPLES = (
    "Examples: headrace balance; headrace balance --endpoint 0190f0a0-0000-7000-8000-000000000001 --since 2h;"
    " headrace balance --unbalanced --json"
)
_COLUMNS = (
    "hour",
    "endpoint",
    "matched",
    "delivered",
    "dead",
    "retrying",
    "in_flight",
    "held",
    "cancelled",
    "not_kept",
    "difference",
)
_PLACE = ("topic", "partition", "first_offset", "next_offset", "matched", "found")
_DOES_NOT_ADD_UP = 4
"""Exit code."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=LOOK, epilog=_EXAMPLES)(balance)


@calling
async def balance(
    api: OwnApi,
    *,
    endpoint: Annotated[str | None, typer.Option(help="Only this endpoint's.")] = None,
    since: Annotated[str | None, typer.Option(help=f"Routed then or later; default: 24h. {HELP}")] = None,
    until: Annotated[str | None, typer.Option(help="Routed before.")] = None,
    unbalanced: Annotated[bool, typer.Option("--unbalanced", help="Only what does not add up, with offsets.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most endpoints and hours to show.")] = 100,
    as_json: Json = False,
) -> None:
    """Show for each endpoint and hour what became of its deliveries.

    Exits with 4 if an hour that the ledger has whole does not add up.
    """
    wanted = query(endpoint=endpoint, since=since, until=until) | ({"unbalanced": "true"} if unbalanced else {})
    complete_until = (await api.get("/balance", **wanted, limit="1"))["complete_until"]
    found = await api.items("/balance", limit, **wanted)
    rows = [json.loads(bytes(each)) for each in found]
    if as_json:
        show_json(found)
    else:
        _show(rows, found, complete_until)
    if any(row["complete"] and row["difference"] for row in rows):
        tell("Not all deliveries add up. `headrace balance --unbalanced` names the offsets.", "red")
        raise typer.Exit(_DOES_NOT_ADD_UP)


def _show(rows: Sequence[dict[str, Any]], found: Sequence[msgspec.Raw], complete_until: str | None) -> None:
    show_items(found, {name: name for name in _COLUMNS}, as_json=False, none="Nothing was matched, or all adds up.")
    for row in rows:
        if row["places"]:
            print(f"\n{row['hour']} {row['endpoint']}")
            show_rows(_PLACE, ([place[name] for name in _PLACE] for place in row["places"]))
    tell(f"The ledger has everything until {complete_until or 'no time yet'}.")
