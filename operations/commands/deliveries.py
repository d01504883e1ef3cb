"""``headrace deliveries``: where each delivery stands, and what its attempts sent and got."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.commands.calling import Json, calling
from operations.commands.shown import show_items, show_json, show_members, show_rows
from operations.commands.times import HELP, query
from operations.help_sections import LOOK, Sections
from operations.telling import tell
from schemas.model.standing import Standing

if TYPE_CHECKING:
    from operations.api.client import OwnApi

deliveries = typer.Typer(
    cls=Sections, no_args_is_help=True, rich_markup_mode=None, help="Find deliveries, and see why they failed."
)

COLUMNS = {
    "routed": "routed_at",
    "delivery": "id",
    "event type": "code",
    "endpoint": "endpoint",
    "outcome": "outcome",
    "attempts": "attempts",
    "status": "status",
    "error": "error",
    "next": "next_at",
    "run": "run",
}

_COUNTED = ("hour", "namespace", "code", "endpoint", "live", "deliveries", "attempts", "delivered_rate", "outcomes")

Type = Annotated[str | None, typer.Option("--type", help="Code of the event type, or <namespace>/<code>.")]
EndpointId = Annotated[str | None, typer.Option(help="Id of the endpoint.")]
Since = Annotated[str | None, typer.Option(help=f"Routed then or later: {HELP}")]
Until = Annotated[str | None, typer.Option(help="Routed before.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(deliveries, name="deliveries", rich_help_panel=LOOK)


@deliveries.command("list", epilog="Example: headrace deliveries list --outcome dead --outcome retrying --since 1h")
@calling
async def list_deliveries(
    api: OwnApi,
    *,
    outcome: Annotated[
        list[str] | None,
        typer.Option(help="pending, delivered, retrying, dead, cancelled or aborted. Repeatable."),
    ] = None,
    endpoint: EndpointId = None,
    type_: Type = None,
    namespace: Annotated[str | None, typer.Option(help="Of the event type.")] = None,
    since: Since = None,
    until: Until = None,
    any_id: Annotated[
        str | None, typer.Option("--id", help="The delivery's (webhook-id), its event's, or the producer's.")
    ] = None,
    status: Annotated[str | None, typer.Option(help="The latest HTTP status: 503, or 5xx.")] = None,
    reason: Annotated[
        list[str] | None, typer.Option(help="Why the latest attempt failed, such as timeout. Repeatable.")
    ] = None,
    identifier: Annotated[
        str | None, typer.Option(help="What an identifier or extension of the event begins with.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="live, other, or the id of a run.")] = None,
    oldest: Annotated[bool, typer.Option("--oldest", help="The oldest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most deliveries to show.")] = 20,
    as_json: Json = False,
) -> None:
    """List deliveries, the latest first."""
    wanted: dict[str, Any] = query(
        endpoint=endpoint,
        type=type_,
        namespace=namespace,
        since=since,
        until=until,
        id=any_id,
        status=status,
        identifier=identifier,
        run=run,
    )
    wanted |= {name: values for name, values in {"outcome": outcome, "reason": reason}.items() if values}
    found = await api.items("/deliveries", limit, **wanted, order="oldest" if oldest else "newest")
    show_items(
        found, COLUMNS, as_json=as_json, none="There are no such deliveries.", nulls={"outcome": Standing.PENDING}
    )


@deliveries.command(epilog="Example: headrace deliveries show 0190f0a0-0000-7000-8000-000000000001")
@calling
async def show(
    api: OwnApi,
    delivery: Annotated[str, typer.Argument(help="Its id, which receivers get as webhook-id.")],
    *,
    run: Annotated[str | None, typer.Option(help="live, or the id of a run that sent it again.")] = None,
    as_json: Json = False,
) -> None:
    """Show a delivery with each request that was sent, and each response."""
    text = await api.text(f"/deliveries/{delivery}", **query(run=run))
    if as_json:
        show_json(text)
        return
    found: dict[str, Any] = json.loads(text)
    show_members(found, "tries", "runs")
    if not found["tries"]:
        tell("It was not tried yet.", "yellow")
    for attempt in found["tries"]:
        print()
        show_members(attempt, "request", "id")
        _show_request(attempt.get("request"))
    if found["runs"]:
        print()
        show_rows(
            ("run", "outcome", "attempts", "changed"), _of(found["runs"], "run", "outcome", "attempts", "changed_at")
        )


@deliveries.command(epilog="Example: headrace deliveries count --endpoint <id> --since 6h")
@calling
async def count(
    api: OwnApi,
    *,
    endpoint: EndpointId = None,
    type_: Type = None,
    since: Since = None,
    until: Until = None,
    published: Annotated[bool, typer.Option("--published", help="Of the events that I published.")] = False,
    as_json: Json = False,
) -> None:
    """Count deliveries by hour, event type and endpoint; by default of the last day."""
    wanted = query(endpoint=endpoint, type=type_, since=since, until=until, of="published" if published else None)
    text = await api.text("/delivery-counts", **wanted)
    found = json.loads(text)
    if as_json:
        show_json(text)
    elif found["items"]:
        show_rows(_COUNTED, _of(found["items"], *_COUNTED))
    else:
        tell("There were no deliveries.", "yellow")


def _of(items: list[dict[str, Any]], *names: str) -> list[list[Any]]:
    return [[each.get(name) for name in names] for each in items]


def _show_request(request: Any) -> None:
    """The request as it was sent, indented below its attempt."""
    if not isinstance(request, dict):
        return
    print(f"  {request.get('method', '')} {request.get('url', '')}")
    for name, value in dict(request.get("headers") or {}).items():
        print(f"  {name}: {value}")
    if request.get("body"):
        print(f"\n  {request['body']}")
