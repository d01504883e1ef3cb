"""``headrace dead-letters`` and ``redrive``: what was given up, and sending it again."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.commands.calling import Json, calling
from operations.commands.runs import DryRun, Follow, Rate, Yes, asked_first
from operations.commands.shown import show_items, show_json, show_members
from operations.commands.times import HELP, query
from operations.errors import WrongUsage
from operations.help_sections import LOOK, STEER, Sections

if TYPE_CHECKING:
    from operations.api.client import OwnApi

dead_letters = typer.Typer(
    cls=Sections, no_args_is_help=True, rich_markup_mode=None, help="Find what was given up, and discard it."
)

COLUMNS = {
    "set aside": "set_aside_at",
    "letter": "id",
    "state": "state",
    "kind": "kind",
    "endpoint": "endpoint",
    "delivery": "delivery",
    "status": "status",
    "reason": "reason",
}

Letters = Annotated[list[str] | None, typer.Argument(metavar="[LETTER]...", help="Ids; or select by options.")]
EndpointId = Annotated[str | None, typer.Option(help="Id of the endpoint.")]
Type = Annotated[str | None, typer.Option("--type", help="Code of the event type, or <namespace>/<code>.")]
Reason = Annotated[str | None, typer.Option(help="A part of the reason.")]
Since = Annotated[str | None, typer.Option(help=f"Set aside then or later: {HELP}")]
Until = Annotated[str | None, typer.Option(help="Set aside before.")]
All = Annotated[bool, typer.Option("--all", help="All that are open.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(dead_letters, name="dead-letters", rich_help_panel=LOOK)
    app.command(rich_help_panel=STEER, epilog="Example: headrace redrive --endpoint <id> --since 2h --follow")(redrive)


@dead_letters.command("list", epilog="Example: headrace dead-letters list --endpoint <id> --since 1d")
@calling
async def list_letters(
    api: OwnApi,
    *,
    state: Annotated[str | None, typer.Option(help="open, redriven or discarded.")] = None,
    kind: Annotated[str | None, typer.Option(help="delivery, or poison: a record that nobody could handle.")] = None,
    endpoint: EndpointId = None,
    type_: Type = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="Most dead letters to show.")] = 20,
    as_json: Json = False,
) -> None:
    """List dead letters, the latest first."""
    wanted = query(state=state, kind=kind, endpoint=endpoint, reason=reason, since=since, until=until) | _of_type(type_)
    found = await api.items("/dead-letters", limit, **wanted)
    show_items(found, COLUMNS, as_json=as_json, none="There are no such dead letters.")


@dead_letters.command(epilog="Example: headrace dead-letters show 3-1042")
@calling
async def show(api: OwnApi, letter: Annotated[str, typer.Argument(help="Its id.")], *, as_json: Json = False) -> None:
    """Show a dead letter with the record that was set aside."""
    text = await api.text(f"/dead-letters/{letter}")
    if as_json:
        show_json(text)
        return
    found: dict[str, Any] = json.loads(text)
    show_members(found, "headers", "value")
    print()
    for name, value in found["headers"]:
        print(f"{name}: {value}")
    if found["value"] is not None:
        print(f"\n{base64.b64decode(found['value'])!r}")


@dead_letters.command(epilog="Example: headrace dead-letters discard 3-1042")
@calling
async def discard(
    api: OwnApi,
    letters: Letters = None,
    *,
    endpoint: EndpointId = None,
    type_: Type = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    follow: Follow = False,
    as_json: Json = False,
) -> None:
    """Settle dead letters without sending them; counts first, and asks."""
    body = _selection(
        letters, endpoint=endpoint, type_=type_, reason=reason, since=since, until=until, everything=everything
    )
    path = "/dead-letters/discard"
    await asked_first(api, path, body, dry_run=dry_run, yes=yes, follow=follow, as_json=as_json)


@calling
async def redrive(
    api: OwnApi,
    letters: Letters = None,
    *,
    endpoint: EndpointId = None,
    type_: Type = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    rate: Rate = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    follow: Follow = False,
    as_json: Json = False,
) -> None:
    """Send dead letters again, each once; they keep their webhook-id.

    First it is counted how many, and asked whether to go on. Those of disabled endpoints stay open.
    """
    body = _selection(
        letters, endpoint=endpoint, type_=type_, reason=reason, since=since, until=until, everything=everything
    )
    body |= {} if rate is None else {"rate": rate}
    path = "/dead-letters/redrive"
    await asked_first(api, path, body, dry_run=dry_run, yes=yes, follow=follow, as_json=as_json)


def _selection(
    letters: list[str] | None, *, type_: str | None, everything: bool, **options: str | None
) -> dict[str, Any]:
    """Which dead letters the arguments name.

    Raises:
        WrongUsage: none, or both ids and a selection.
    """
    chosen: dict[str, Any] = query(**options) | _of_type(type_)
    if letters and (chosen or everything):
        raise WrongUsage("Name dead letters by their ids, or select them by options: not both.")
    if letters:
        return {"ids": letters}
    if not chosen and not everything:
        raise WrongUsage("Which dead letters? Give ids, options such as --endpoint and --since, or --all.")
    return chosen


def _of_type(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    namespace, slash, code = text.partition("/")
    return {"namespace": namespace, "type": code} if slash else {"namespace": "events", "type": text}
