"""``headrace tail``: events as they come."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from operations.commands.calling import Json, calling
from operations.commands.selections import selection
from operations.commands.shown import plain, show_line
from operations.commands.times import HELP, when
from operations.help_sections import LOOK
from schemas.model import timestamps

if TYPE_CHECKING:
    from operations.api.client import OwnApi

_POLL = 0.5
_LATE = 60_000_000
"""Microseconds: the ledger may have an event that much later than one that was received after it."""

_MOST = 10_000


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
    seen: dict[str, None] = {}
    while True:
        first = began if not seen else max(began, timestamps.now() - _LATE)
        for text in reversed(await api.items("/events", _MOST, **wanted, since=timestamps.to_text(first))):
            event = msgspec.json.decode(bytes(text), type=dict[str, msgspec.Raw])
            name = bytes(event["event_id"]).decode()
            if name in seen:
                continue
            seen[name] = None
            _show(text, event, as_json=as_json)
            if count is not None and len(seen) >= count:
                return
        await asyncio.sleep(_POLL)


def _show(text: msgspec.Raw, event: dict[str, msgspec.Raw], *, as_json: bool) -> None:
    if as_json:
        show_line(text)
        return
    columns = ("received_at", "event_id", "namespace", "type", "source")
    told = [str(json.loads(bytes(event[name]))) for name in columns]
    print(plain("  ".join([*told, bytes(event.get("data", b"null")).decode()])), flush=True)
