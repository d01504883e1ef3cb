"""``headrace clients``: who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from operations.commands.asking import DryRun, Yes, removed
from operations.commands.calling import Json, calling
from operations.commands.shown import show_items, show_resource
from operations.errors import WrongUsage
from operations.help_sections import ADMINISTER, Sections

if TYPE_CHECKING:
    from operations.api.client import OwnApi

clients = typer.Typer(
    cls=Sections, no_args_is_help=True, rich_markup_mode=None, help="Look after clients: their roles and scopes."
)

_COLUMNS = {"client": "id", "name": "name", "realm": "realm", "roles": "roles", "disabled": "disabled"}

Id = Annotated[str, typer.Argument(metavar="CLIENT", help="Its id.")]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", help="producer, subscriber, viewer, operator, key_issuer or admin. Repeatable."),
]
Scopes = Annotated[list[str] | None, typer.Option("--scope", help="Of a client of Envoy. Repeatable.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(clients, name="clients", rich_help_panel=ADMINISTER)


@clients.command("list", epilog="Example: headrace clients list")
@calling
async def list_clients(
    api: OwnApi,
    *,
    limit: Annotated[int, typer.Option(min=1, help="Most clients to show.")] = 100,
    as_json: Json = False,
) -> None:
    """List clients, the oldest first."""
    found = await api.items("/clients", limit)
    show_items(found, _COLUMNS, as_json=as_json, none="There are no clients.")


@clients.command(epilog="Example: headrace clients show web-shop")
@calling
async def show(api: OwnApi, client: Id, *, as_json: Json = False) -> None:
    """Show a client."""
    show_resource(await api.text(_path(client)), as_json=as_json)


@clients.command(epilog="Example: headrace clients create 'Web shop' --id web-shop --role producer")
@calling
async def create(
    api: OwnApi,
    name: Annotated[str, typer.Argument(help="For people; unique in the workspace.")],
    *,
    client: Annotated[str | None, typer.Option("--id", help="Default: a new one.")] = None,
    role: Roles = None,
    scope: Scopes = None,
    realm: Annotated[str, typer.Option(help="The API family whose credentials it gets.")] = "headrace",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Create a client; the same again changes nothing. Its first key: headrace keys create."""
    given = {"id": client, "roles": role, "scopes": scope}
    body: dict[str, Any] = {"name": name, "realm": realm} | {
        member: value for member, value in given.items() if value is not None
    }
    if dry_run:
        print(f"Would create client {name} with {', '.join(role or ['the default role'])}.")
        return
    show_resource(await api.post("/clients", body), as_json=as_json)


@clients.command(epilog="Example: headrace clients edit web-shop --role producer --role viewer --dry-run")
@calling
async def edit(
    api: OwnApi, client: Id, *, role: Roles = None, scope: Scopes = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Change a client's roles or scopes: those given replace all that it had."""
    change = {member: value for member, value in {"roles": role, "scopes": scope}.items() if value is not None}
    if not change:
        raise WrongUsage("Say what shall change: --role or --scope.")
    await _change(api, client, change, dry_run=dry_run, as_json=as_json)


@clients.command(epilog="Example: headrace clients disable web-shop")
@calling
async def disable(api: OwnApi, client: Id, *, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Refuse all credentials of a client, until it is enabled."""
    await _change(api, client, {"disabled": True}, dry_run=dry_run, as_json=as_json)


@clients.command(epilog="Example: headrace clients enable web-shop")
@calling
async def enable(api: OwnApi, client: Id, *, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Take a client's credentials again."""
    await _change(api, client, {"disabled": False}, dry_run=dry_run, as_json=as_json)


@clients.command(epilog="Example: headrace clients delete web-shop --dry-run")
@calling
async def delete(api: OwnApi, client: Id, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Revoke a client for good, with its keys and registrations; its events stay."""
    found = await api.get(_path(client))
    keys = len(await api.items(f"{_path(client)}/keys", 1_000))
    what = f"client {found['name']} ({found['id']}) and its {keys} keys"
    await removed(api, _path(client), what, dry_run=dry_run, yes=yes)


def _path(client: str) -> str:
    return f"/clients/{quote(client, safe='')}"


async def _change(api: OwnApi, client: str, change: dict[str, Any], *, dry_run: bool, as_json: bool) -> None:
    if dry_run:
        found = await api.get(_path(client))
        for member, value in change.items():
            print(f"{member}: {found[member]} would become {value}.")
        return
    show_resource(await api.change(_path(client), change), as_json=as_json)
