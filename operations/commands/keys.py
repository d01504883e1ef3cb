"""``headrace keys``: the API keys of clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from operations.commands.asking import DryRun, Yes, removed
from operations.commands.calling import Json, calling
from operations.commands.clients import Id
from operations.commands.shown import show_items, show_json
from operations.commands.times import seconds
from operations.help_sections import ADMINISTER, Sections

if TYPE_CHECKING:
    from operations.api.client import OwnApi

keys = typer.Typer(cls=Sections, no_args_is_help=True, rich_markup_mode=None, help="Issue and revoke API keys.")

_COLUMNS = {"key": "id", "ends in": "hint", "use": "use", "expires": "expires_at", "created": "created_at"}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(keys, name="keys", rich_help_panel=ADMINISTER)


@keys.command("list", epilog="Example: headrace keys list web-shop")
@calling
async def list_keys(
    api: OwnApi,
    client: Id,
    *,
    limit: Annotated[int, typer.Option(min=1, help="Most keys to show.")] = 100,
    as_json: Json = False,
) -> None:
    """List a client's keys, without the keys themselves."""
    found = await api.items(_path(client), limit)
    show_items(found, _COLUMNS, as_json=as_json, none="The client has no key.")


@keys.command(epilog="Example: headrace keys create web-shop --lifetime 90d")
@calling
async def create(
    api: OwnApi,
    client: Id,
    *,
    lifetime: Annotated[str | None, typer.Option(help="Such as 12h or 90d; default: until it is revoked.")] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Issue a key, and print it: it is shown this once."""
    body: dict[str, Any] = {} if lifetime is None else {"lifetime": seconds(lifetime, "--lifetime")}
    if dry_run:
        found = await api.get(f"/clients/{quote(client, safe='')}")
        print(f"Would issue a key to client {found['name']} ({found['id']}), for {lifetime or 'ever'}.")
        return
    made: dict[str, Any] = await api.post(_path(client), body)
    if as_json:
        show_json(made)
    else:
        print(f"Key {made['id']}, shown this once: {made['key']}")


@keys.command(epilog="Example: headrace keys revoke web-shop 0190f0a0-0000-7000-8000-000000000003 --dry-run")
@calling
async def revoke(
    api: OwnApi,
    client: Id,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Its id.")],
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Revoke a key: it is refused from now on, and so are tokens that were got with it."""
    what = f"key {key_id} of client {client}"
    await removed(api, f"{_path(client)}/{quote(key_id, safe='')}", what, dry_run=dry_run, yes=yes)


def _path(client: str) -> str:
    return f"/clients/{quote(client, safe='')}/keys"
