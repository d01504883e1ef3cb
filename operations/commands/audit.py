"""``headrace audit``: who changed what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.commands.calling import Json, calling
from operations.commands.shown import printed, show_json, show_rows
from operations.commands.times import HELP, query
from operations.help_sections import ADMINISTER
from operations.telling import tell

if TYPE_CHECKING:
    from operations.api.client import OwnApi

_COLUMNS = ("at", "who", "did", "kind", "id", "name", "fields")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=ADMINISTER, epilog="Example: headrace audit --since 2h --kind endpoint")(audit)


@calling
async def audit(
    api: OwnApi,
    *,
    since: Annotated[str | None, typer.Option(help=f"Changed then or later. {HELP}")] = None,
    until: Annotated[str | None, typer.Option(help="Changed before.")] = None,
    actor: Annotated[str | None, typer.Option(help="Changed by the client with this id.")] = None,
    kind: Annotated[str | None, typer.Option(help="Of what changed: client, endpoint, event_type, …")] = None,
    of: Annotated[str | None, typer.Option("--id", help="Of what changed.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most changes to show.")] = 100,
    as_json: Json = False,
) -> None:
    """Show who changed what in the catalog, the latest first. For operators."""
    found = await api.items("/audit", limit, **query(since=since, until=until, actor=actor, kind=kind, id=of))
    if as_json:
        show_json(found)
    elif found:
        show_rows(_COLUMNS, (_row(json.loads(bytes(each))) for each in found))
    else:
        tell("Nothing was changed, or the audit log does not have it any more.", "yellow")


def _row(entry: dict[str, Any]) -> list[str]:
    actor = entry["actor"]
    who = "the gateway" if actor is None else actor["name"] or actor["client"]
    fields = ", ".join(_field(each) for each in entry["fields"])
    return [entry["at"], who, entry["action"], entry["kind"], entry["id"], entry["name"], fields]


def _field(change: dict[str, Any]) -> str:
    before, after = printed(change["before"]), printed(change["after"])
    if not before and not after:
        return str(change["name"])
    return f"{change['name']}: {before} → {after}" if before else f"{change['name']}: {after}"
