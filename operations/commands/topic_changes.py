"""``headrace partitions grow`` and ``cancel``, ``topics set``, ``groups reset``: what operators change about Kafka."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from operations.commands.asking import confirm
from operations.commands.calling import Json, calling
from operations.commands.shown import show_json, show_rows
from operations.commands.times import HELP, when
from operations.errors import WrongUsage
from operations.telling import REFUSED, tell

if TYPE_CHECKING:
    from operations.api.client import OwnApi

Topic = Annotated[str, typer.Argument(help="Its name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

_SPAN = re.compile(r"(\d{1,6})([mhd])", re.ASCII)
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}
_POLL = 1.0


def add_to(topics: typer.Typer, partitions: typer.Typer, groups: typer.Typer) -> None:
    """Add the commands to the groups of what they change."""
    partitions.command(
        "grow", epilog="Example: headrace partitions grow events.default.crmls.Offer 12 --keep-order --dry-run"
    )(grow)
    partitions.command("cancel", epilog="Example: headrace partitions cancel events.default.crmls.Offer")(cancel)
    topics.command("set", epilog="Example: headrace topics set events.default.crmls.Offer --retention 7d --dry-run")(
        set_topic
    )
    groups.command("reset", epilog="Example: headrace groups reset team-a.billing --to-time 2h --dry-run")(reset)


@calling
async def grow(
    api: OwnApi,
    topic: Topic,
    partitions: Annotated[int, typer.Argument(min=1, max=1_000, help="How many it shall have.")],
    *,
    keep_order: Annotated[
        bool,
        typer.Option(
            "--keep-order/--as-is",
            help="Refuse events until those of before are routed, so that none overtakes another of its key; or let "
            "keys move at once.",
        ),
    ] = True,
    dry_run: DryRun = False,
    yes: Yes = False,
    follow: Annotated[bool, typer.Option("--follow", help="Wait until it has ended.")] = False,
    as_json: Json = False,
) -> None:
    """Give a topic more partitions.

    First it is shown what that does to the order of keys, and asked whether to go on. The exit code is 1 if a growth
    that is followed was rolled back.
    """
    path = f"/operations/topics/{quote(topic, safe='')}"
    body = {"partitions": partitions, "order": "keep" if keep_order else "as_is"}
    if dry_run or not yes:
        preview: dict[str, Any] = await api.post(f"{path}/partitions", body | {"dry_run": True})
        if dry_run and as_json:
            show_json(preview)
            return
        _show_preview(preview, to_stderr=not dry_run)
        if dry_run:
            return
        confirm("Grow it?")
    growth: dict[str, Any] = await api.post(f"{path}/partitions", body)
    while follow and growth["state"] in {"FREEZING", "DRAINING"}:
        await asyncio.sleep(_POLL)
        growth = await api.get(f"{path}/growth")
    if as_json:
        show_json(growth)
    else:
        _show_growth(growth)
    if growth["state"] == "ROLLED_BACK":
        raise typer.Exit(REFUSED)


@calling
async def cancel(api: OwnApi, topic: Topic, *, as_json: Json = False) -> None:
    """End a growth that keeps order before it is done.

    Events are accepted again at once, and go to the former partitions.
    """
    growth: dict[str, Any] = await api.post(f"/operations/topics/{quote(topic, safe='')}/growth/cancel")
    if as_json:
        show_json(growth)
    else:
        _show_growth(growth)


@calling
async def set_topic(
    api: OwnApi,
    topic: Topic,
    *,
    retention: Annotated[str | None, typer.Option(help="How long events are kept: 90m, 12h, 7d.")] = None,
    compacted: Annotated[
        bool | None, typer.Option("--compacted/--not-compacted", help="Keep the last event of each key for ever.")
    ] = None,
    partition_key: Annotated[
        str | None, typer.Option(help="Of new events: source, data.<name>, identifier.<name>, or none.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Change how long the topic of an event type keeps events, or by which key they go to its partitions.

    First it is shown what that does, and asked whether to go on.
    """
    path = f"/operations/topics/{quote(topic, safe='')}"
    body: dict[str, Any] = {} if retention is None else {"retention_seconds": _span(retention)}
    body |= {} if compacted is None else {"compacted": compacted}
    body |= {} if partition_key is None else {"partition_key": None if partition_key == "none" else partition_key}
    if not body:
        raise WrongUsage("Say what to change: --retention, --compacted, --not-compacted or --partition-key.")
    if not (dry_run or yes):
        _show_change(await api.change(path, body | {"dry_run": True}), to_stderr=True)
        confirm("Change it?")
    change: dict[str, Any] = await api.change(path, body | {"dry_run": dry_run})
    if as_json:
        show_json(change)
    else:
        _show_change(change, to_stderr=False)


@calling
async def reset(
    api: OwnApi,
    group: Annotated[str, typer.Argument(help="Its id.")],
    *,
    to_time: Annotated[str | None, typer.Option(help=f"The first record at or after: {HELP}")] = None,
    to_offset: Annotated[int | None, typer.Option(min=0, help="This offset, or the nearest that there is.")] = None,
    shift: Annotated[int | None, typer.Option(help="So many records on, or back if negative.")] = None,
    to_earliest: Annotated[bool, typer.Option("--to-earliest", help="The first record that there is.")] = False,
    to_latest: Annotated[bool, typer.Option("--to-latest", help="The end: what is there is skipped.")] = False,
    topic: Annotated[list[str] | None, typer.Option(help="Only this topic; may be repeated.")] = None,
    partition: Annotated[
        list[int] | None, typer.Option(min=0, help="Only this partition of them; may be repeated.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let a consumer group read on from elsewhere; it must have no members.

    First the offsets before and after are shown, and asked whether to go on.
    """
    target: dict[str, Any] = {
        "time": None if to_time is None else when(to_time, "--to-time"),
        "offset": to_offset,
        "shift": shift,
        "earliest": to_earliest or None,
        "latest": to_latest or None,
    }
    body: dict[str, Any] = {"to": {name: value for name, value in target.items() if value is not None}}
    if len(body["to"]) != 1:
        raise WrongUsage("Say one of --to-time, --to-offset, --shift, --to-earliest and --to-latest.")
    body |= {"topics": topic} if topic else {}
    body |= {"partitions": partition} if partition else {}
    path = f"/operations/groups/{quote(group, safe='')}/offsets"
    if not (dry_run or yes):
        _show_offsets(await api.post(path, body | {"dry_run": True}), to_stderr=True)
        confirm("Reset them?")
    done: dict[str, Any] = await api.post(path, body | {"dry_run": dry_run})
    if as_json:
        show_json(done)
    else:
        _show_offsets(done, to_stderr=False)


def _span(text: str) -> int:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise WrongUsage(f"--retention {text!r} is no length of time. Give 90m, 12h or 7d.")
    return int(found[1]) * _SECONDS[found[2]]


def _show_growth(growth: dict[str, Any]) -> None:
    print(f"{growth['topic']}: {growth['state']}. {growth.get('reason') or ''}".rstrip())


def _show_preview(preview: dict[str, Any], *, to_stderr: bool) -> None:
    counts = f"{preview['effective_partitions']} → {preview['partitions']} partitions"
    lines = [f"{preview['topic']}: {counts}, {preview['moved_share']:.0%} of the keys move."]
    if preview["frozen"] is not None:
        least, most = preview["frozen"]["at_least"], preview["frozen"]["at_most"]
        lines.append(f"Nothing can be published to it for {least:.0f} to {most:.0f} seconds.")
    if preview["waits_for"]:
        lines.append(f"Waits for: {', '.join(preview['waits_for'])}.")
    if preview["not_controlled"]:
        lines.append(f"Not controlled: {', '.join(preview['not_controlled'])}.")
    _say([*lines, *preview["notes"]], to_stderr=to_stderr)


def _show_change(change: dict[str, Any], *, to_stderr: bool) -> None:
    def kept(how: dict[str, Any]) -> str:
        span = "compacted" if how["compacted"] else f"kept for {how['retention_seconds']:,} s"
        return f"{span}, by {how['partition_key'] or 'no key'}"

    lines = [f"{change['topic']}: {kept(change['before'])} → {kept(change['after'])}."]
    if change["lost_records"]:
        lines.append(f"{sum(change['lost_records'].values()):,} events are older and are deleted.")
    _say([*lines, *change["notes"]], to_stderr=to_stderr)


def _show_offsets(found: dict[str, Any], *, to_stderr: bool) -> None:
    rows = [
        (each["topic"], each["partition"], each["before"], each["after"], each["after"] - (each["before"] or 0))
        for each in found["partitions"]
    ]
    if to_stderr:
        for topic, partition, before, after, _ in rows:
            tell(f"{topic}/{partition}: {'nothing' if before is None else before} → {after}", "yellow")
    else:
        show_rows(("topic", "partition", "before", "after", "change"), rows)


def _say(lines: list[str], *, to_stderr: bool) -> None:
    for line in lines:
        if to_stderr:
            tell(line, "yellow")
        else:
            print(line)
