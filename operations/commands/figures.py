"""``headrace topics``, ``partitions``, ``lag`` and ``groups``: what is going on in Kafka."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from operations.commands import topic_changes
from operations.commands.calling import Json, calling
from operations.commands.default_command import Listing
from operations.commands.shown import show_json, show_rows
from operations.commands.times import query
from operations.help_sections import LOOK
from operations.telling import tell

if TYPE_CHECKING:
    from operations.api.client import OwnApi

Limit = Annotated[int, typer.Option(min=1, help="Most to show.")]

_OLD = 60.0
_THOUSAND = 1_000
_SPANS = (("d", 86_400), ("h", 3_600), ("min", 60))


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    of_topics = typer.Typer(cls=Listing, help="Topics: list them, or change how long they keep events.")
    of_partitions = typer.Typer(cls=Listing, help="Partitions of a topic: show them, add some, or cancel that.")
    of_groups = typer.Typer(cls=Listing, help="Consumer groups: list them, or let one read on from elsewhere.")
    of_topics.command("list", epilog="Example: headrace topics list --prefix events.default.")(topics)
    of_partitions.command("show", epilog="Example: headrace partitions show events.default.crmls.Offer")(partitions)
    of_groups.command("list", epilog="Example: headrace groups list --topic events.default.crmls.Offer")(groups)
    topic_changes.add_to(of_topics, of_partitions, of_groups)
    app.add_typer(of_topics, name="topics", rich_help_panel=LOOK)
    app.add_typer(of_partitions, name="partitions", rich_help_panel=LOOK)
    app.command(rich_help_panel=LOOK, epilog="Example: headrace lag --group headrace-router")(lag)
    app.add_typer(of_groups, name="groups", rich_help_panel=LOOK)


@calling
async def topics(
    api: OwnApi,
    *,
    prefix: Annotated[str | None, typer.Option(help="Only topics whose names begin so.")] = None,
    limit: Limit = 1_000,
    as_json: Json = False,
) -> None:
    """List topics with their rates, sizes, skew and lag."""
    found = await api.items("/operations/topics", limit, **query(prefix=prefix))
    if as_json:
        show_json(found)
        return
    rows = [
        (
            each["topic"],
            each["partitions"],
            _rate(each["events_per_second"]),
            _bytes(each["bytes_per_second"], "/s"),
            _bytes(each["bytes"]),
            _bytes(each["growth_bytes_per_day"], "/d"),
            _number(each["skew"]),
            _count(each["lag"]),
            _lag_seconds(each),
            span(each["retention_left_seconds"]),
        )
        for each in map(_read, found)
    ]
    titles = ("topic", "partitions", "events/s", "bytes/s", "size", "growth", "skew", "lag", "behind", "retention left")
    show_rows(titles, rows)
    await _tell_age(api)


@calling
async def partitions(
    api: OwnApi, topic: Annotated[str, typer.Argument(help="Its name.")], *, as_json: Json = False
) -> None:
    """Show the partitions of a topic, the groups that read it, and its hottest keys."""
    text = await api.text(f"/operations/topics/{quote(topic, safe='')}")
    if as_json:
        show_json(text)
        return
    found = json.loads(text)
    titles = ("partition", "first", "end", "events/s", "share", "size", "leader", "in sync")
    rows = [
        (
            each["partition"],
            each["first_offset"],
            each["end_offset"],
            _rate(each["events_per_second"]),
            _percent(each["share"]),
            _bytes(each["bytes"]),
            "none" if each["leader"] is None else each["leader"],
            f"{each['in_sync']}/{each['replicas']}",
        )
        for each in found["partition_list"]
    ]
    show_rows(titles, rows)
    if found["groups"]:
        print()
        readers = [
            (each["group"], each["state"], each["members"], _count(each["lag"]), _lag_seconds(each))
            for each in found["groups"]
        ]
        show_rows(("group", "state", "members", "lag", "behind"), readers)
    if found["hot_keys"]:
        print()
        show_rows(("key", "share of events"), [(each["key"], _percent(each["share"])) for each in found["hot_keys"]])
    if found["advice"] is not None:
        print(f"\nAdvice: {found['advice']['because']}")
    await _tell_age(api)


@calling
async def lag(
    api: OwnApi,
    *,
    group: Annotated[str | None, typer.Option(help="Only this group, with every partition.")] = None,
    topic: Annotated[str | None, typer.Option(help="Only groups that read this topic.")] = None,
    as_json: Json = False,
) -> None:
    """Show how far consumer groups are behind, in records and in time; the furthest first."""
    if group is None:
        found = [_read(each) for each in await api.items("/operations/groups", 100_000, **query(topic=topic))]
        found = [each for each in found if each["lag"] != 0]
        found.sort(key=lambda each: (-(each["lag_seconds"] or 0.0), -(each["lag"] or 0), each["group"]))
        if as_json:
            show_json(msgspec.json.encode(found))
            return
        _show_groups(found)
    else:
        text = await api.text(f"/operations/groups/{quote(group, safe='')}")
        parts = [each for each in json.loads(text)["partition_list"] if topic in (None, each["topic"])]
        if as_json:
            show_json(msgspec.json.encode(parts))
            return
        titles = ("topic", "partition", "committed", "end", "lag", "behind", "member")
        rows = [
            (
                each["topic"],
                each["partition"],
                "never" if each["committed"] is None else each["committed"],
                each["end_offset"],
                _count(each["lag"]),
                _lag_seconds(each),
                each["member"],
            )
            for each in parts
        ]
        show_rows(titles, rows)
    await _tell_age(api)


@calling
async def groups(
    api: OwnApi,
    *,
    topic: Annotated[str | None, typer.Option(help="Only groups that read this topic.")] = None,
    limit: Limit = 1_000,
    as_json: Json = False,
) -> None:
    """List consumer groups, the planes' and teams'."""
    found = await api.items("/operations/groups", limit, **query(topic=topic))
    if as_json:
        show_json(found)
        return
    _show_groups([_read(each) for each in found])
    await _tell_age(api)


def _show_groups(found: list[dict[str, Any]]) -> None:
    rows = [
        (
            each["group"],
            "Headrace" if each["ours"] else "a team",
            each["state"],
            each["members"],
            len(each["topics"]),
            _count(each["lag"]),
            _lag_seconds(each),
        )
        for each in found
    ]
    show_rows(("group", "of", "state", "members", "topics", "lag", "behind"), rows)


async def _tell_age(api: OwnApi) -> None:
    """Say so when the figures are old, or when there are none."""
    age = (await api.get("/operations"))["age_seconds"]
    if age is None:
        tell("There are no figures yet: run `headrace monitor`.", "yellow")
    elif age > _OLD:
        tell(f"These figures are {span(age)} old: no monitor runs, or Kafka does not answer it.", "yellow")


def _read(item: msgspec.Raw) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bytes(item))
    return found


def _lag_seconds(each: dict[str, Any]) -> str:
    shown = span(each["lag_seconds"])
    return f"about {shown}" if each["approximate"] and shown else shown


def span(seconds: float | None) -> str:
    """A span of time as people read it: ``0 s``, ``95 s``, ``3 min``, ``2 d``."""
    if seconds is None:
        return ""
    for unit, size in _SPANS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _rate(figure: float | None) -> str:
    return "" if figure is None else f"{figure:,.1f}"


def _number(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.2g}"


def _count(figure: int | None) -> str:
    return "" if figure is None else f"{figure:,}"


def _percent(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.0%}"


def _bytes(figure: float | None, suffix: str = "") -> str:
    if figure is None:
        return ""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(figure) < _THOUSAND:
            return f"{figure:.3g} {unit}{suffix}"
        figure /= _THOUSAND
    return f"{figure:.3g} TB{suffix}"
