"""``headrace runs``, ``resend`` and ``replay``: sending again, and how far it is."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from operations.commands.asking import confirm
from operations.commands.calling import Json, calling
from operations.commands.shown import show_items, show_json, show_members
from operations.commands.times import HELP, query, when
from operations.help_sections import STEER, Sections
from operations.telling import REFUSED, tell

if TYPE_CHECKING:
    from operations.api.client import OwnApi

runs = typer.Typer(
    cls=Sections,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Watch and steer what sends again: replays, redrives.",
)

COLUMNS = {
    "created": "created_at",
    "run": "id",
    "kind": "kind",
    "state": "state",
    "endpoint": "endpoint",
    "looked at": "looked_at",
    "deliveries": "deliveries",
    "dry run": "dry_run",
    "reason": "reason",
}

ENDED = {"DONE", "CANCELLED", "FAILED"}

_POLL = 0.5

Id = Annotated[str, typer.Argument(metavar="RUN", help="Its id.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count what would be sent.")]
Rate = Annotated[float | None, typer.Option(min=0.001, help="Most deliveries per second.")]
Follow = Annotated[bool, typer.Option("--follow", help="Show the progress until it has ended.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=STEER, epilog="Example: headrace resend 0190f0a0-0000-7000-8000-000000000001 --follow")(
        resend
    )
    app.command(rich_help_panel=STEER, epilog="Example: headrace replay <endpoint> --from 2h --rate 50 --follow")(
        replay
    )
    app.add_typer(runs, name="runs", rich_help_panel=STEER)


@calling
async def resend(
    api: OwnApi,
    delivery: Annotated[str, typer.Argument(help="Its id, which receivers get as webhook-id.")],
    *,
    dry_run: DryRun = False,
    follow: Follow = False,
    as_json: Json = False,
) -> None:
    """Send one delivery again, whatever became of it; it keeps its webhook-id."""
    made = await api.post(f"/deliveries/{delivery}/resend", **({"dry_run": "true"} if dry_run else {}))
    await tell_of(api, made, follow=follow, as_json=as_json)


@calling
async def replay(
    api: OwnApi,
    endpoint: Annotated[str, typer.Argument(help="Id of the endpoint.")],
    *,
    begin: Annotated[
        str, typer.Option("--from", help=f"Events accepted since: {HELP} Or earliest, or a topic_offset.")
    ],
    until: Annotated[str | None, typer.Option(help="Events accepted before; default: now.")] = None,
    then: Annotated[bool, typer.Option("--then", help="What matched then, rather than what matches now.")] = False,
    rate: Rate = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    follow: Follow = False,
    as_json: Json = False,
) -> None:
    """Send an endpoint the events of a time again, those that it got too.

    First it is counted what that is, and asked whether to go on. Repeats have the same webhook-id, and wait behind new
    events.
    """
    origin = begin if begin == "earliest" or "/" in begin else when(begin, "--from")
    body: dict[str, Any] = {"from": origin, "matched": "then" if then else "current"} | query(until=until)
    body |= {} if rate is None else {"rate": rate}
    await asked_first(
        api, f"/endpoints/{endpoint}/replay", body, dry_run=dry_run, yes=yes, follow=follow, as_json=as_json
    )


@runs.command("list", epilog="Example: headrace runs list --state RUNNING")
@calling
async def list_runs(
    api: OwnApi,
    *,
    endpoint: Annotated[str | None, typer.Option(help="Only to this endpoint.")] = None,
    kind: Annotated[str | None, typer.Option(help="RESEND, REPLAY, BACKFILL, REDRIVE or DISCARD.")] = None,
    state: Annotated[str | None, typer.Option(help="WAITING, RUNNING, PAUSED, DONE, CANCELLED or FAILED.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most runs to show.")] = 100,
    as_json: Json = False,
) -> None:
    """List runs, the oldest first."""
    wanted = query(endpoint=endpoint, kind=kind and kind.upper(), state=state and state.upper())
    found = await api.items("/runs", limit, **wanted)
    items = found if as_json else [_with_words(each) for each in found]
    show_items(items, COLUMNS, as_json=as_json, none="There are no such runs.")


@runs.command(epilog="Example: headrace runs show 0190f0a0-0000-7000-8000-000000000001")
@calling
async def show(api: OwnApi, run: Id, *, as_json: Json = False) -> None:
    """Show a run, and how far it is."""
    text = await api.text(f"/runs/{run}")
    if as_json:
        show_json(text)
    else:
        show_members(json.loads(text))


@runs.command(epilog="Example: headrace runs follow 0190f0a0-0000-7000-8000-000000000001")
@calling
async def follow(api: OwnApi, run: Id, *, as_json: Json = False) -> None:
    """Show the progress of a run until it has ended; the exit code is 1 if it did not come to its end."""
    await tell_of(api, await api.get(f"/runs/{run}"), follow=True, as_json=as_json)


@runs.command(epilog="Example: headrace runs pause 0190f0a0-0000-7000-8000-000000000001")
@calling
async def pause(api: OwnApi, run: Id, *, as_json: Json = False) -> None:
    """Write no more deliveries for now; those that are written are sent."""
    await tell_of(api, await api.post(f"/runs/{run}/pause"), follow=False, as_json=as_json)


@runs.command(epilog="Example: headrace runs resume 0190f0a0-0000-7000-8000-000000000001")
@calling
async def resume(api: OwnApi, run: Id, *, follow: Follow = False, as_json: Json = False) -> None:
    """Go on where it was paused."""
    await tell_of(api, await api.post(f"/runs/{run}/resume"), follow=follow, as_json=as_json)


@runs.command(epilog="Example: headrace runs cancel 0190f0a0-0000-7000-8000-000000000001")
@calling
async def cancel(api: OwnApi, run: Id, *, as_json: Json = False) -> None:
    """End it; deliveries that are written are sent. `headrace runs retry` goes on with it."""
    await tell_of(api, await api.post(f"/runs/{run}/cancel"), follow=False, as_json=as_json)


@runs.command(epilog="Example: headrace runs retry 0190f0a0-0000-7000-8000-000000000001 --follow")
@calling
async def retry(api: OwnApi, run: Id, *, follow: Follow = False, as_json: Json = False) -> None:
    """Go on with one that failed or was cancelled, where it ended: nothing that it has written is written again."""
    await tell_of(api, await api.post(f"/runs/{run}/retry"), follow=follow, as_json=as_json)


async def asked_first(
    api: OwnApi, path: str, body: dict[str, Any], *, dry_run: bool, yes: bool, follow: bool, as_json: bool
) -> None:
    """Count what a run would do, ask whether it shall, and have it done.

    Args:
        api: to call.
        path: that makes the run.
        body: of the request, without ``dry_run``.
        dry_run: only count.
        yes: neither count nor ask.
        follow: show the progress.
        as_json: print JSON.
    """
    if dry_run or not yes:
        counted = await _ended(api, await api.post(path, body | {"dry_run": True}))
        if dry_run:
            await tell_of(api, counted, follow=False, as_json=as_json)
            return
        _check_done(counted)
        confirm(f"{_summary(counted)} Send them?")
    await tell_of(api, await api.post(path, body | {"dry_run": False}), follow=follow, as_json=as_json)


async def tell_of(api: OwnApi, run: dict[str, Any], *, follow: bool, as_json: bool) -> None:
    """Print a run, after it has ended if it is followed; exit with 1 when it failed."""
    if follow:
        run = await _ended(api, run)
    if as_json:
        show_json(run)
    else:
        print(f"Run {run['id']} is {run['state']}. {_summary(run)}")
        if run["state"] not in ENDED:
            tell(f"Watch it with: headrace runs follow {run['id']}", "green")
    if follow or run["state"] == "FAILED":
        _check_done(run)


def _check_done(run: dict[str, Any]) -> None:
    if run["state"] != "DONE":
        tell(f"Run {run['id']} did not come to its end: {run['state']}. {run['reason'] or ''}".rstrip())
        raise typer.Exit(REFUSED)


def _summary(run: dict[str, Any]) -> str:
    """How much a run did, or would do."""
    verb = "would send" if run["dry_run"] else "has sent"
    if run["kind"] == "DISCARD":
        verb = "would discard" if run["dry_run"] else "has discarded"
    skipped = "".join(f" {count:,} left out: {reason}." for reason, count in run["skipped"].items())
    lost = f" Retention took {run['lost']:,} before." if run["lost"] else ""
    if _has_thousandths(run):
        lost = " Retention took some before." if run["lost"] else ""
    return f"It {verb} {run['deliveries']:,}, and looked at {_looked_at(run)}.{skipped}{lost}"


def _has_thousandths(run: dict[str, Any]) -> bool:
    """Whether the API tells parts of a range, which others have records in, and not offsets."""
    return run["kind"] in {"REDRIVE", "DISCARD"} or run.get("matched") == "then"


def _looked_at(run: dict[str, Any]) -> str:
    if _has_thousandths(run):
        return f"{100 * run['looked_at'] // (run['total'] or 1)} % of its range"
    return f"{run['looked_at']:,} of {run['total']:,}"


def _with_words(run: msgspec.Raw) -> msgspec.Raw:
    """A run of a list, which tells how far it is as the summary does."""
    found = msgspec.json.decode(run)
    return msgspec.Raw(msgspec.json.encode(found | {"looked_at": _looked_at(found)}))


async def _ended(api: OwnApi, run: dict[str, Any]) -> dict[str, Any]:
    """The run once it has ended; its progress is a bar on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        bar = progress.add_task(run["kind"].lower(), total=run["total"])
        while run["state"] not in ENDED:
            progress.update(
                bar, completed=run["looked_at"], description=f"{run['kind'].lower()} {run['state'].lower()}"
            )
            await asyncio.sleep(_POLL)
            run = await api.get(f"/runs/{run['id']}")
    return run
