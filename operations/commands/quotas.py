"""``headrace quotas``: how much clients and workspaces may publish in a second."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.commands.calling import Json, calling
from operations.commands.shown import show_json, show_rows
from operations.errors import WrongUsage
from operations.help_sections import ADMINISTER, Sections
from operations.telling import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.api.client import OwnApi

_KINDS = ("requests", "events", "bytes")
_DEFAULT = "default"

quotas = typer.Typer(
    cls=Sections,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See and set how much clients and workspaces may publish in a second.",
)

_RATE = f"A second: a number, unlimited, or {_DEFAULT} for the installation's."
Requests = Annotated[str | None, typer.Option(metavar="RATE", help=f"Requests that publish. {_RATE}")]
Events = Annotated[str | None, typer.Option(metavar="RATE", help="Events; likewise.")]
Bytes = Annotated[str | None, typer.Option("--bytes", metavar="RATE", help="Bytes of bodies; likewise.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(quotas, name="quotas", rich_help_panel=ADMINISTER)


@quotas.command("list", epilog="Example: headrace quotas list")
@calling
async def list_quotas(
    api: OwnApi,
    *,
    limit: Annotated[int, typer.Option(min=1, help="Most clients to show.")] = 100,
    as_json: Json = False,
) -> None:
    """Show the limits, and where they bind on the machine that answers."""
    found = await api.items("/quotas", limit)
    if as_json:
        show_json(found)
        return
    rows = [row for each in found for row in _rows(json.loads(bytes(each)))]
    if rows:
        show_rows(("whose", "name", "what", "a second", "at once", "left", "refused", "last refused"), rows)
    else:
        tell("No quota limits anybody.", "yellow")


@quotas.command("set-client", epilog="Example: headrace quotas set-client web-shop --events 500 --bytes unlimited")
@calling
async def set_client(
    api: OwnApi,
    client: Annotated[str, typer.Argument(help="Its id.")],
    *,
    requests: Requests = None,
    events: Events = None,
    size: Bytes = None,
    as_json: Json = False,
) -> None:
    """Replace a client's quota. What is not named is the installation's again."""
    await _set(api, f"/quotas/clients/{client}", (requests, events, size), as_json=as_json)


@quotas.command("set-workspace", epilog="Example: headrace quotas set-workspace acme --events 5000")
@calling
async def set_workspace(
    api: OwnApi,
    name: Annotated[str, typer.Argument(help="Its name.")],
    *,
    requests: Requests = None,
    events: Events = None,
    size: Bytes = None,
    as_json: Json = False,
) -> None:
    """Replace a workspace's quota, for administrators. What is not named is the installation's again."""
    await _set(api, f"/quotas/workspaces/{name}", (requests, events, size), as_json=as_json)


async def _set(api: OwnApi, path: str, rates: Sequence[str | None], *, as_json: bool) -> None:
    body = {kind: _rate(kind, text) for kind, text in zip(_KINDS, rates, strict=True) if text is not None}
    if not body:
        raise WrongUsage(f"Say which: --requests, --events, --bytes. To end a quota: --events {_DEFAULT}.")
    changed: dict[str, Any] = await api.put(path, body)
    if as_json:
        show_json(changed)
        return
    limits = ", ".join(f"{changed[kind]['per_second']:,} {kind} a second" for kind in _KINDS if changed[kind])
    print(f"The {changed['scope']} {changed['name']} may publish {limits or 'without limit'}.")


def _rate(kind: str, text: str) -> int | str | None:
    if text == _DEFAULT:
        return None
    if text == "unlimited":
        return text
    try:
        return int(text)
    except ValueError:
        raise WrongUsage(f"--{kind} {text!r} is no rate: give a number, unlimited or {_DEFAULT}.") from None


def _rows(quota: dict[str, Any]) -> list[tuple[object, ...]]:
    return [
        (
            quota["scope"],
            quota["client"] or quota["workspace"],
            kind,
            limit["per_second"],
            limit["most_at_once"],
            limit["available"],
            limit["refused"],
            "" if limit["refused_seconds_ago"] is None else f"{limit['refused_seconds_ago']:.0f} s ago",
        )
        for kind in _KINDS
        if (limit := quota[kind]) is not None
    ]
