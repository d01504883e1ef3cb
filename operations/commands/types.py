"""``headrace types``: event types, each a topic with a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from operations.commands.asking import DryRun, Yes, removed
from operations.commands.calling import Json, calling
from operations.commands.shown import show_items, show_resource
from operations.errors import WrongUsage
from operations.help_sections import STEER, Sections

if TYPE_CHECKING:
    from operations.api.client import OwnApi

types = typer.Typer(cls=Sections, no_args_is_help=True, rich_markup_mode=None, help="Look after event types.")

_COLUMNS = {
    "namespace": "namespace",
    "type": "code",
    "topic": "topic",
    "partitions": "effective_partitions",
    "key": "partition_key",
    "open": "open",
}

Type = Annotated[str, typer.Argument(metavar="TYPE", help="A code, or <namespace>/<code>.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(types, name="types", rich_help_panel=STEER)


@types.command("list", epilog="Example: headrace types list --namespace events")
@calling
async def list_types(
    api: OwnApi,
    *,
    namespace: Annotated[str | None, typer.Option(help="Only of this namespace.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most event types to show.")] = 100,
    as_json: Json = False,
) -> None:
    """List event types, the oldest first."""
    found = await api.items("/event-types", limit, **({} if namespace is None else {"namespace": namespace}))
    show_items(found, _COLUMNS, as_json=as_json, none="There are no such event types.")


@types.command(epilog="Example: headrace types show order.paid")
@calling
async def show(api: OwnApi, type_: Type, *, as_json: Json = False) -> None:
    """Show an event type with its attributes."""
    show_resource(await api.text(_path(type_)), as_json=as_json)


@types.command(
    epilog="Examples: headrace types create order.paid --attribute orderId:String! --attribute total:decimal(20,2); "
    "headrace types create shop/any --open --partitions 6"
)
@calling
async def create(
    api: OwnApi,
    type_: Type,
    *,
    attribute: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:TYPE", help="String, Number, Boolean, …; a ! at its end: required. Repeatable."),
    ] = None,
    is_open: Annotated[bool, typer.Option("--open", help="Data is any JSON.")] = False,
    partition_key: Annotated[
        str | None, typer.Option(help="Partition key: source, data.<name> or identifier.<name>.")
    ] = None,
    partitions: Annotated[int | None, typer.Option(min=1, help="Of its topic.")] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Register an event type and create its topic; the same again changes nothing."""
    namespace, _, code = type_.rpartition("/")
    attributes = [_attribute(each) for each in attribute or ()]
    body: dict[str, Any] = {"code": code} | ({"namespace": namespace} if namespace else {})
    given = {
        "partition_key": partition_key,
        "partitions": partitions,
        "open": is_open or None,
        "attributes": attributes or None,
    }
    body |= {member: value for member, value in given.items() if value is not None}
    if dry_run:
        found = await api.find(_path(type_))
        print(f"{type_} is there already." if found else f"Would create {type_} with {len(attributes)} attributes.")
        return
    show_resource(await api.post("/event-types", body), as_json=as_json)


@types.command(epilog="Example: headrace types delete order.paid --dry-run")
@calling
async def delete(api: OwnApi, type_: Type, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Delete an event type and its registrations; the topic and its events stay."""
    found = await api.get(_path(type_))
    what = f"event type {found['namespace']}/{found['code']} (topic {found['topic']} stays)"
    await removed(api, _path(type_), what, dry_run=dry_run, yes=yes)


def _path(text: str) -> str:
    namespace, slash, code = text.partition("/")
    named = (namespace, code) if slash else ("events", text)
    return "/event-types/" + "/".join(quote(each, safe="") for each in named)


def _attribute(text: str) -> dict[str, Any]:
    name, colon, kind = text.rpartition(":")
    if not colon or not name:
        raise WrongUsage(f"{text!r} is no attribute. Give it as --attribute name:String, with a ! if it is required.")
    return {"name": name, "type": kind.removesuffix("!"), "required": kind.endswith("!")}
