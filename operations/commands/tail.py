"""``headrace tail``: events as they come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from operations.commands.calling import Json, calling
from operations.commands.following import new_events
from operations.commands.selections import selection
from operations.commands.shown import plain, show_line
from operations.commands.times import HELP, when
from operations.help_sections import LOOK
from schemas.model import timestamps

if TYPE_CHECKING:
    from operations.api.client import OwnApi


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=LOOK, epilog="Example: headrace tail order.paid --since 15m --count 5")(tail)


@calling
async def tail(
    api: OwnApi,
    type_: Annotated[
        str | None, typer.Argument(metavar="TYPE", help="A code, or <namespace>/<code>; default: all you may read.")
    ] = None,
    *,
    since: Annotated[str | None, typer.Option(help=f"Begin with those received then: {HELP}")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    as_json: Json = False,
) -> None:
    """Show events as they come, until Ctrl-C: those that you may read, a moment after they were accepted."""
    wanted: dict[str, str] = {}
    if type_ is not None and type_ != "*":
        chosen = selection(type_)
        wanted = {"type": chosen["code"]} | ({"namespace": chosen["namespace"]} if "namespace" in chosen else {})
    began = timestamps.parse(when(since, "--since")) if since else timestamps.now()
    shown = 0
    async for text in new_events(api, wanted, began):
        _show(text, as_json=as_json)
        shown += 1
        if shown == count:
            return


def _show(text: msgspec.Raw, *, as_json: bool) -> None:
    if as_json:
        show_line(text)
        return
    event = msgspec.json.decode(bytes(text), type=dict[str, msgspec.Raw])
    columns = ("received_at", "event_id", "namespace", "type", "source")
    told = [str(json.loads(bytes(event[name]))) for name in columns]
    print(plain("  ".join([*told, bytes(event.get("data", b"null")).decode()])), flush=True)
