"""``headrace endpoints``: where events go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from operations.commands import endpoint_states
from operations.commands.asking import confirm
from operations.commands.calling import Json, calling
from operations.commands.endpoint_states import Id, change_endpoint
from operations.commands.selections import condition_text, selection
from operations.commands.shown import show_items, show_json, show_members, show_rows
from operations.errors import CallFailed, WrongUsage
from operations.help_sections import STEER, Sections
from operations.telling import REFUSED, tell

if TYPE_CHECKING:
    from operations.api.client import OwnApi

endpoints = typer.Typer(
    cls=Sections, no_args_is_help=True, rich_markup_mode=None, help="Look after the endpoints that events go to."
)

COLUMNS = {
    "endpoint": "id",
    "name": "name",
    "type": "type",
    "status": "state.status",
    "until": "state.until",
    "url": "url",
}

_TRIED = {"name", "types", "version", "sources", "channels", "identifiers", "condition"}
"""Members of a filter that a dry run takes."""

Members = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="MEMBER=JSON", help="Any other member, such as retry_schedule='[5, 30]'. Repeatable."
    ),
]
Headers = Annotated[list[str] | None, typer.Option("--header", metavar="'NAME: VALUE'", help="Repeatable.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    endpoint_states.add_to(endpoints)
    app.add_typer(endpoints, name="endpoints", rich_help_panel=STEER)


@endpoints.command("list", epilog="Example: headrace endpoints list --status paused")
@calling
async def list_endpoints(
    api: OwnApi,
    *,
    status: Annotated[str | None, typer.Option(help="Only those that are enabled, paused or disabled.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most endpoints to show.")] = 100,
    as_json: Json = False,
) -> None:
    """List endpoints, the oldest first."""
    found = await api.items("/endpoints", limit, **({} if status is None else {"status": status}))
    show_items(found, COLUMNS, as_json=as_json, none="There are no such endpoints.")


@endpoints.command(epilog="Example: headrace endpoints show 0190f0a0-0000-7000-8000-000000000001")
@calling
async def show(api: OwnApi, endpoint: Id, *, as_json: Json = False) -> None:
    """Show an endpoint, whether it is sent events now, and which."""
    text = await api.text(f"/endpoints/{endpoint}")
    if as_json:
        show_json(text)
        return
    found: dict[str, Any] = json.loads(text)
    show_members(found | found["state"], "state", "warnings")
    for warning in found["warnings"]:
        tell(warning, "yellow")
    await _show_filters(api, found["id"])


@endpoints.command(
    epilog="Example: headrace endpoints dry-run 0190f0a0-0000-7000-8000-000000000001 --last 20", name="dry-run"
)
@calling
async def dry_run(
    api: OwnApi,
    endpoint: Id,
    *,
    last: Annotated[int, typer.Option(min=1, max=1_000, help="How many events to look at.")] = 20,
    as_json: Json = False,
) -> None:
    """Show which of the last events the endpoint's filters let through, and which they do not."""
    filters = [link["filter"] for link in await _links(api, endpoint) if link["enabled"]]
    if not filters:
        tell("No enabled filter is linked to it: nothing goes there.", "yellow")
    found: dict[str, dict[str, Any]] = {}
    for each in filters:
        members = msgspec.json.decode(await api.text(f"/filters/{each}"), type=dict[str, msgspec.Raw])
        tried = {name: value for name, value in members.items() if name in _TRIED}
        for event in (await api.post("/filters/dry-run", tried, last=str(last)))["events"]:
            before = found.setdefault(event["event_id"], event)
            before["matches"] = before["matches"] or event["matches"]
    events = sorted(found.values(), key=lambda event: str(event["time"]), reverse=True)
    if as_json:
        show_json(msgspec.json.encode(events))
    else:
        columns = ("time", "event_id", "type", "source", "matches")
        show_rows(columns, ([each[name] for name in columns] for each in events))


@endpoints.command(
    epilog="Example: headrace endpoints test 0190f0a0-0000-7000-8000-000000000001 order.paid", name="test"
)
@calling
async def send_test(
    api: OwnApi,
    endpoint: Id,
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="Code of the event type, or <namespace>/<code>.")],
    *,
    data: Annotated[str | None, typer.Option(help="JSON. Left out: a value for each attribute of the type.")] = None,
    as_json: Json = False,
) -> None:
    """Send one made-up event, also past an open circuit breaker, and show the answer; exit code 1 if it was refused."""
    body: dict[str, Any] = {**selection(type_)}
    if data is not None:
        body["data"] = _value(data)
        if body["data"] is data:
            raise WrongUsage("The data is not JSON. A text is JSON in quotes.")
    result: dict[str, Any] = await api.post(f"/endpoints/{endpoint}/test", body)
    if as_json:
        show_json(result)
    else:
        show_members(result)
    if result["outcome"] == "dead":
        raise typer.Exit(REFUSED)


@endpoints.command(epilog="Example: headrace endpoints rotate-secret <id>", name="rotate-secret")
@calling
async def rotate_secret(api: OwnApi, endpoint: Id, *, as_json: Json = False) -> None:
    """Make a new signing secret; for a while webhooks are signed with both."""
    changed: dict[str, Any] = await api.post(f"/endpoints/{endpoint}/rotate-secret")
    if as_json:
        show_json(changed)
    else:
        print(f"Signing secret, shown this once: {changed['signing_secret']}")


@endpoints.command(
    epilog="Example: headrace endpoints create billing https://example.com/hooks --events order.paid "
    '--condition \'{"data": {"total": [{"numeric": [">=", 100]}]}}\''
)
@calling
async def create(
    api: OwnApi,
    name: Annotated[str, typer.Argument(help="For people.")],
    address: Annotated[str | None, typer.Argument(metavar="URL", help="Where webhooks go.")] = None,
    *,
    type_: Annotated[str, typer.Option("--type", help="WEB_HOOK, WEB_SOCKET or FILE.")] = "WEB_HOOK",
    events: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="Subscribe it to this code, or <namespace>/<code>; * is all. Repeatable."),
    ] = None,
    condition: Annotated[str | None, typer.Option(help="JSON of the filter language; goes with --events.")] = None,
    header: Headers = None,
    members: Members = None,
    as_json: Json = False,
) -> None:
    """Create an endpoint, and subscribe it to events."""
    body = {"name": name, "type": type_, **_members(header, members)} | ({} if address is None else {"url": address})
    event_filter = _filter(name, events, condition)
    made = await (_create_subscribed(api, body, event_filter) if event_filter else api.post("/endpoints", body))
    if as_json:
        show_json(made)
        return
    print(f"Created {made['id']}.")
    if made["signing_secret"]:
        print(f"Signing secret, shown this once: {made['signing_secret']}")
    if event_filter is None:
        tell("Nothing goes there yet: link a filter to it.", "yellow")


@endpoints.command(epilog="Example: headrace endpoints edit <id> --set timeout=5 --header 'X-Team: billing'")
@calling
async def edit(
    api: OwnApi,
    endpoint: Id,
    *,
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
    address: Annotated[str | None, typer.Option(help="Where webhooks go from now on.")] = None,
    header: Headers = None,
    members: Members = None,
    as_json: Json = False,
) -> None:
    """Change an endpoint; what is not given stays. Headers replace all that it had."""
    change = _members(header, members)
    change |= {member: value for member, value in {"name": name, "url": address}.items() if value is not None}
    if not change:
        raise WrongUsage("Say what shall change: --name, --address, --header, or --set.")
    await change_endpoint(api, endpoint, change, as_json=as_json)


@endpoints.command(epilog="Example: headrace endpoints delete 0190f0a0-0000-7000-8000-000000000001 --yes")
@calling
async def delete(
    api: OwnApi,
    endpoint: Id,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete an endpoint and its subscriptions."""
    found = await api.get(f"/endpoints/{endpoint}")
    if not yes:
        confirm(f"Delete {found['name']} ({found['id']}) and its subscriptions?")
    await api.delete(f"/endpoints/{endpoint}")
    print(f"Deleted {found['id']}.")


async def _links(api: OwnApi, endpoint: str) -> list[dict[str, Any]]:
    return [json.loads(bytes(each)) for each in await api.items("/subscriptions", 1_000, endpoint=endpoint)]


async def _show_filters(api: OwnApi, endpoint: str) -> None:
    links = await _links(api, endpoint)
    if not links:
        tell("No filter is linked to it: nothing goes there.", "yellow")
        return
    print()
    rows = []
    for link in links:
        found = await api.get(f"/filters/{link['filter']}")
        types = ", ".join(f"{each['namespace']}/{each['code']}" for each in found["types"])
        rows.append((link["id"], link["enabled"], found["name"], types, found["condition"]))
    show_rows(("subscription", "enabled", "filter", "types", "condition"), rows)


def _members(headers: list[str] | None, members: list[str] | None) -> dict[str, Any]:
    """What ``--header`` and ``--set`` say, as members of the request."""
    body: dict[str, Any] = {}
    if headers:
        pairs = [each.partition(":") for each in headers]
        if not all(colon for _, colon, _ in pairs):
            raise WrongUsage("A header is given as --header 'Name: value'.")
        body["headers"] = {name.strip(): value.strip() for name, _, value in pairs}
    for each in members or ():
        name, equals, value = each.partition("=")
        if not equals:
            raise WrongUsage(f"{each!r} is no member. Give it as --set name=JSON.")
        body[name] = _value(value)
    return body


def _value(text: str) -> Any:
    """JSON as it was written, or else the text itself."""
    try:
        json.loads(text)
    except ValueError:
        return text
    return msgspec.Raw(text.encode())


def _filter(name: str, types: list[str] | None, condition: str | None) -> dict[str, Any] | None:
    if not types:
        if condition is not None:
            raise WrongUsage("--condition is of the events that --events names.")
        return None
    event_filter: dict[str, Any] = {"name": name, "types": [selection(each) for each in types]}
    return event_filter | ({} if condition is None else {"condition": condition_text(condition)})


async def _create_subscribed(api: OwnApi, body: dict[str, Any], event_filter: dict[str, Any]) -> dict[str, Any]:
    """The endpoint, with its ``subscription``. The filter is made first, because it is what is most often refused."""
    wanted = await api.post("/filters", event_filter)
    try:
        made: dict[str, Any] = await api.post("/endpoints", body)
    except CallFailed:
        await api.delete(f"/filters/{wanted['id']}")
        raise
    for warning in wanted["warnings"]:
        tell(warning, "yellow")
    link = await api.post("/subscriptions", {"filter": wanted["id"], "endpoint": made["id"]})
    return made | {"subscription": link}
