"""``headrace events``: what was published, and what became of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from operations.commands.calling import Json, calling
from operations.commands.following import new_events
from operations.commands.shown import show_items, show_json, show_line, show_members, show_rows
from operations.commands.times import HELP, query, when
from operations.errors import WrongUsage
from operations.help_sections import LOOK, Sections
from operations.telling import tell
from schemas.model import timestamps

if TYPE_CHECKING:
    from operations.api.client import OwnApi

events = typer.Typer(cls=Sections, no_args_is_help=True, rich_markup_mode=None, help="Publish and find events.")

COLUMNS = {
    "received": "received_at",
    "event": "event_id",
    "namespace": "namespace",
    "type": "type",
    "source": "source",
    "subject": "subject",
}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(events, name="events", rich_help_panel=LOOK)


@events.command("list", epilog="Example: headrace events list --type order.paid --since 15m")
@calling
async def list_events(
    api: OwnApi,
    *,
    type_: Annotated[str | None, typer.Option("--type", help="CloudEvents type.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Of the event type.")] = None,
    source: Annotated[str | None, typer.Option(help="CloudEvents source.")] = None,
    client: Annotated[str | None, typer.Option(help="Id of the client that published.")] = None,
    subject: Annotated[str | None, typer.Option(help="CloudEvents subject.")] = None,
    since: Annotated[str | None, typer.Option(help=f"Received then or later: {HELP}")] = None,
    until: Annotated[str | None, typer.Option(help="Received before.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most events to show.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Show new ones as they come, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """List events, the latest first."""
    wanted = query(
        type=type_, namespace=namespace, source=source, clientid=client, subject=subject, since=since, until=until
    )
    if not follow:
        found = await api.items("/events", limit, **wanted)
        show_items(found, COLUMNS, as_json=as_json, none="There are no such events.")
    elif until is not None:
        raise WrongUsage("--follow has no end: it does not go together with --until.")
    else:
        await _follow(api, wanted, as_json=as_json)


@events.command(epilog="Example: headrace events show 0190f0a0-0000-7000-8000-000000000001")
@calling
async def show(
    api: OwnApi,
    event: Annotated[str, typer.Argument(help="Its id: the gateway's, a webhook-id, or the producer's.")],
    *,
    source: Annotated[str | None, typer.Option(help="The producer's source, where several used the id.")] = None,
    as_json: Json = False,
) -> None:
    """Show an event with its deliveries and their attempts."""
    text = await api.text(f"/events/{event}", **query(source=source))
    if as_json:
        show_json(text)
        return
    found: dict[str, Any] = msgspec.json.decode(text)
    exact = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    show_members(found, "data", "deliveries", "outcomes")
    print(f"data  {bytes(exact['data']).decode()}" if "data" in exact else "", end="\n\n")
    _show_deliveries(found["deliveries"])


@events.command(
    epilog='Examples: headrace events publish order.paid --data \'{"orderId": "A-1"}\'; '
    "headrace events publish order.paid --file order.json --source /shop --id 17"
)
@calling
async def publish(
    api: OwnApi,
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="Code of the event type, or <namespace>/<code>.")],
    *,
    data: Annotated[str | None, typer.Option(help="JSON.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="A file with the data; - is standard input.", allow_dash=True)
    ] = None,
    source: Annotated[str | None, typer.Option(help="CloudEvents source.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Your id; with a source, a repeat is one event.")] = None,
    subject: Annotated[str | None, typer.Option(help="CloudEvents subject.")] = None,
    time: Annotated[str | None, typer.Option(help=f"When it happened: {HELP}")] = None,
    as_json: Json = False,
) -> None:
    """Publish an event."""
    attributes = {"source": source, "id": event_id, "subject": subject, "time": time and when(time, "--time")}
    event = {"specversion": "1.0", "type": type_} | {
        name: text for name, text in attributes.items() if text is not None
    }
    answer = await api.publish_text(msgspec.json.encode(event | {"data": _data(data, file)}))
    if as_json:
        show_json(answer)
    else:
        print(f"Published {answer['event_id']} as {answer['topic']}/{answer['partition']}/{answer['offset']}")


def _data(text: str | None, file: Path | None) -> msgspec.Raw:
    """The data as it was given, if it is JSON."""
    if (text is None) == (file is None):
        raise WrongUsage("Give the event's data with --data or with --file.")
    if file is not None:
        text = _read(file)
    try:
        json.loads(text or "")
    except ValueError as error:
        raise WrongUsage(f"The data is not JSON: {error}") from error
    return msgspec.Raw((text or "").encode())


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if file == Path("-") else file.read_text(encoding="utf-8")
    except OSError as error:
        raise WrongUsage(f"{file} cannot be read: {error.strerror}.") from error


def _show_deliveries(deliveries: list[dict[str, Any]]) -> None:
    if not deliveries:
        tell("No delivery that you may see: no enabled subscription matched it, or it was not routed yet.", "yellow")
    for delivery in deliveries:
        why = delivery["dead_reason"] or delivery["error"] or ""
        came = delivery["outcome"] or "pending"
        print(f"delivery {delivery['id']} to {delivery['endpoint']}: {came} {why}".rstrip())
        if delivery["tries"]:
            columns = ("started_at", "run", "number", "outcome", "status", "duration", "error", "next_at")
            show_rows(columns, ([each[name] for name in columns] for each in delivery["tries"]))


async def _follow(api: OwnApi, wanted: dict[str, str], *, as_json: bool) -> None:
    """Show each event once, in the order in which the ledger gets them."""
    began = timestamps.parse(wanted.pop("since")) if "since" in wanted else timestamps.now()
    async for text in new_events(api, wanted, began):
        if as_json:
            show_line(text)
        else:
            event = json.loads(bytes(text))
            print("  ".join(str(event.get(name) or "-") for name in COLUMNS.values()), flush=True)
