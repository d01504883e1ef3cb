"""``headrace filters``: which events go where."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from operations.commands.asking import DryRun, Yes, removed
from operations.commands.calling import Json, calling
from operations.commands.selections import condition_text, selection
from operations.commands.shown import show_items, show_json, show_resource, show_rows
from operations.errors import WrongUsage
from operations.help_sections import STEER, Sections
from operations.telling import tell

if TYPE_CHECKING:
    from operations.api.client import OwnApi

filters = typer.Typer(cls=Sections, no_args_is_help=True, rich_markup_mode=None, help="Look at event filters.")

_COLUMNS = {"filter": "id", "name": "name", "types": "types", "condition": "condition"}
_TRIED = {"name", "types", "version", "sources", "channels", "identifiers", "condition"}
"""Members of a filter that a dry run takes."""

Id = Annotated[str, typer.Argument(metavar="FILTER", help="Its id.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(filters, name="filters", rich_help_panel=STEER)


@filters.command("list", epilog="Example: headrace filters list")
@calling
async def list_filters(
    api: OwnApi,
    *,
    limit: Annotated[int, typer.Option(min=1, help="Most filters to show.")] = 100,
    as_json: Json = False,
) -> None:
    """List event filters, the oldest first."""
    found = await api.items("/filters", limit)
    show_items(found, _COLUMNS, as_json=as_json, none="There are no filters.")


@filters.command(epilog="Example: headrace filters show 0190f0a0-0000-7000-8000-000000000004")
@calling
async def show(api: OwnApi, event_filter: Id, *, as_json: Json = False) -> None:
    """Show an event filter, and the endpoints that it is linked to."""
    text = await api.text(f"/filters/{event_filter}")
    show_resource(text, as_json=as_json)
    if as_json:
        return
    links = [json.loads(bytes(each)) for each in await api.items("/subscriptions", 1_000, filter=event_filter)]
    if links:
        print()
        columns = ("id", "endpoint", "enabled")
        show_rows(("subscription", "endpoint", "enabled"), ([each[name] for name in columns] for each in links))
    else:
        tell("It is linked to no endpoint.", "yellow")


@filters.command(
    epilog="Examples: headrace filters check 0190f0a0-0000-7000-8000-000000000004 --last 20; "
    'headrace filters check --events order.paid --condition \'{"data": {"total": [{"numeric": [">=", 100]}]}}\''
)
@calling
async def check(
    api: OwnApi,
    event_filter: Annotated[str | None, typer.Argument(metavar="FILTER", help="Id of one that is there.")] = None,
    *,
    events: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="Or a new one: a code, <namespace>/<code>, *. Repeatable."),
    ] = None,
    condition: Annotated[str | None, typer.Option(help="JSON of the filter language; goes with --events.")] = None,
    last: Annotated[int, typer.Option(min=1, max=1_000, help="How many events to look at.")] = 20,
    as_json: Json = False,
) -> None:
    """Show which of the last events a filter lets through. Nothing is created and nothing is sent."""
    if (event_filter is None) == (events is None):
        raise WrongUsage("Name a filter by its id, or describe one with --events.")
    if event_filter is not None:
        members = msgspec.json.decode(await api.text(f"/filters/{event_filter}"), type=dict[str, msgspec.Raw])
        body: dict[str, Any] = {name: value for name, value in members.items() if name in _TRIED}
    else:
        body = {"name": "check", "types": [selection(each) for each in events or ()]}
        body |= {} if condition is None else {"condition": condition_text(condition)}
    found = await api.post("/filters/dry-run", body, last=str(last))
    if as_json:
        show_json(found)
        return
    columns = ("time", "event_id", "type", "source", "matches")
    show_rows(columns, ([each[name] for name in columns] for each in found["events"]))
    print(f"{found['matched']} of {len(found['events'])} match.")


@filters.command(epilog="Example: headrace filters delete 0190f0a0-0000-7000-8000-000000000004 --dry-run")
@calling
async def delete(api: OwnApi, event_filter: Id, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Delete an event filter and its subscriptions."""
    found = await api.get(f"/filters/{event_filter}")
    what = f"filter {found['name']} ({found['id']}) and its subscriptions"
    await removed(api, f"/filters/{event_filter}", what, dry_run=dry_run, yes=yes)
