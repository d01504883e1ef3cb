"""``headrace workspaces``: the tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from operations.commands.asking import DryRun, Yes, removed
from operations.commands.calling import Json, calling
from operations.commands.shown import show_items, show_resource
from operations.help_sections import ADMINISTER, Sections

if TYPE_CHECKING:
    from operations.api.client import OwnApi

workspaces = typer.Typer(cls=Sections, no_args_is_help=True, rich_markup_mode=None, help="Look after workspaces.")

_COLUMNS = {"workspace": "name", "id": "id", "created": "created_at"}

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the workspace.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(workspaces, name="workspaces", rich_help_panel=ADMINISTER)


@workspaces.command("list", epilog="Example: headrace workspaces list")
@calling
async def list_workspaces(
    api: OwnApi,
    *,
    limit: Annotated[int, typer.Option(min=1, help="Most workspaces to show.")] = 100,
    as_json: Json = False,
) -> None:
    """List workspaces, the oldest first: all for administrators, else your own."""
    found = await api.items("/workspaces", limit)
    show_items(found, _COLUMNS, as_json=as_json, none="There are no workspaces.")


@workspaces.command(epilog="Example: headrace workspaces show default")
@calling
async def show(api: OwnApi, name: Name, *, as_json: Json = False) -> None:
    """Show a workspace."""
    show_resource(await api.text(f"/workspaces/{quote(name, safe='')}"), as_json=as_json)


@workspaces.command(epilog="Example: headrace workspaces create acme")
@calling
async def create(api: OwnApi, name: Name, *, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Create a workspace; one that is there stays as it is. For administrators."""
    found = await api.find(f"/workspaces/{quote(name, safe='')}")
    if dry_run:
        print(f"Workspace {name} is there already." if found else f"Would create workspace {name}.")
        return
    made = found or await api.post("/workspaces", {"name": name})
    show_resource(made, as_json=as_json)


@workspaces.command(epilog="Example: headrace workspaces delete acme --dry-run")
@calling
async def delete(api: OwnApi, name: Name, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Delete a workspace that has nothing in it. For administrators."""
    found = await api.get(f"/workspaces/{quote(name, safe='')}")
    what = f"workspace {found['name']}"
    await removed(api, f"/workspaces/{quote(name, safe='')}", what, dry_run=dry_run, yes=yes)
