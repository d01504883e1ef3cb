"""Whether an endpoint is sent its events: pause and keep, disable and drop, and its health."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.commands.calling import Json, calling
from operations.commands.runs import Follow, Rate, tell_of
from operations.commands.shown import show_json, show_members
from operations.telling import tell

if TYPE_CHECKING:
    from operations.api.client import OwnApi

Id = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Its id.")]

_EXAMPLE = "Example: headrace endpoints {} 0190f0a0-0000-7000-8000-000000000001"


def add_to(group: typer.Typer) -> None:
    """Add the commands."""
    for command in (health, pause, resume, enable, disable):
        group.command(epilog=_EXAMPLE.format(command.__name__))(command)


@calling
async def health(api: OwnApi, endpoint: Id, *, as_json: Json = False) -> None:
    """Show whether an endpoint takes what it is sent, since when not, and when that disables it."""
    text = await api.text(f"/endpoints/{endpoint}/health")
    if as_json:
        show_json(text)
        return
    found: dict[str, Any] = json.loads(text)
    error = found["last_error"] or {}
    show_members(found | {"last_error": error.get("message"), "last_error_at": error.get("at")}, "breaker")
    if found["breaker"]["open"]:
        print(f"The circuit breaker is open until {found['breaker']['until']}.")


@calling
async def pause(api: OwnApi, endpoint: Id, *, as_json: Json = False) -> None:
    """Send nothing for now, and keep what comes."""
    paused: dict[str, Any] = await api.post(f"/endpoints/{endpoint}/pause")
    if as_json:
        show_json(paused)
        return
    print(f"Paused {paused['endpoint']}: its events are kept since {paused['held_since']}.")
    for warning in paused["warnings"]:
        tell(warning, "yellow")


@calling
async def resume(
    api: OwnApi, endpoint: Id, *, rate: Rate = None, follow: Follow = False, as_json: Json = False
) -> None:
    """End the pause: new events are sent at once, and what was kept behind them, by a run."""
    resumed: dict[str, Any] = await api.post(f"/endpoints/{endpoint}/resume", {} if rate is None else {"rate": rate})
    await tell_of(api, resumed["backfill"], follow=follow, as_json=as_json)


@calling
async def enable(api: OwnApi, endpoint: Id, *, as_json: Json = False) -> None:
    """Send events again to an endpoint that was disabled, by its owner or by an answer of 410 Gone."""
    await change_endpoint(api, endpoint, {"enabled": True}, as_json=as_json)


@calling
async def disable(api: OwnApi, endpoint: Id, *, as_json: Json = False) -> None:
    """Send nothing more; events that are accepted meanwhile are dropped for it."""
    await change_endpoint(api, endpoint, {"enabled": False}, as_json=as_json)


async def change_endpoint(api: OwnApi, endpoint: str, change: dict[str, Any], *, as_json: bool) -> None:
    """Change members of an endpoint, and say what becomes of its events."""
    changed: dict[str, Any] = await api.change(f"/endpoints/{endpoint}", change)
    if as_json:
        show_json(changed)
        return
    print(f"Changed {changed['id']}.")
    for warning in changed["warnings"]:
        tell(warning, "yellow")
