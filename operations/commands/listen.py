"""``headrace listen``: a signed copy of what an endpoint is sent, for a server on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from operations.commands.calling import Json, targeting
from operations.commands.selections import condition_text, selection
from operations.commands.shown import show_line
from operations.errors import WrongUsage
from operations.help_sections import TRY
from operations.telling import tell
from schemas.model.errors import HeadraceError

if TYPE_CHECKING:
    from operations.api.client import OwnApi
    from operations.api.target import Target
    from operations.listen.forwarding import Forwarded

_EVERYTHING = ["*"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        rich_help_panel=TRY,
        epilog="Example: headrace listen --forward http://localhost:3000 "
        "--endpoint 0190f0a0-0000-7000-8000-000000000001",
    )(listen)


@targeting
async def listen(
    target: Target,
    *,
    forward: Annotated[str, typer.Option(metavar="URL", help="Where copies go.")],
    endpoint: Annotated[str | None, typer.Option(help="Copy what the filters of this endpoint let through.")] = None,
    events: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="Copy this type: a code, or <namespace>/<code>. Repeatable. Default: all."),
    ] = None,
    condition: Annotated[str | None, typer.Option(help="Only what this JSON of the filter language fits.")] = None,
    secret: Annotated[
        str | None, typer.Option(help="Sign with this whsec_…; default: a new one, which is shown.")
    ] = None,
    realtime: Annotated[
        str | None, typer.Option(metavar="URL", help="Of the realtime node, if it is elsewhere.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many copies.")] = None,
    as_json: Json = False,
) -> None:
    """Send a copy of events to a server on this machine, signed as webhooks are, until Ctrl-C.

    The endpoint itself is not touched: it goes on to get its own. Copies are CloudEvents, each is sent once, and they
    are not in the log of deliveries. They come over a temporary WEB_SOCKET endpoint that ends with the command.
    """
    from backbone.catalog.signing_secrets import new_secret  # noqa: PLC0415  # a plane's process does without

    if endpoint is not None and (events or condition):
        raise WrongUsage("--endpoint has filters of its own: it does not go together with --events and --condition.")
    signing = secret or new_secret()
    terminated = _cancelled_by_sigterm()
    shown = _Shown(count, as_json=as_json)
    try:
        await _listen(
            target,
            _Wanted(endpoint=endpoint, types=events or _EVERYTHING, condition=condition),
            forward=forward,
            secret=signing,
            realtime=realtime or target.realtime_url,
            shown=shown,
        )
    except asyncio.CancelledError:
        tell("Stopped; the temporary endpoint is deleted.", "yellow")
        if terminated.is_set():
            raise typer.Exit(128 + signal.SIGTERM) from None
        raise


def _cancelled_by_sigterm() -> asyncio.Event:
    """Let SIGTERM cancel this task as Ctrl-C does; the event is set once it came."""
    terminated, running = asyncio.Event(), asyncio.current_task()

    def end() -> None:
        terminated.set()
        if running is not None:
            running.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    return terminated


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be copied: what goes to an endpoint, or types and a condition."""

    endpoint: str | None
    types: list[str]
    condition: str | None


class _Shown:
    """Prints copies, and knows when there were enough."""

    def __init__(self, count: int | None, *, as_json: bool) -> None:
        self._left = count
        self._as_json = as_json
        self.enough = asyncio.Event()

    def show(self, copy: Forwarded) -> None:
        if self._as_json:
            show_line(msgspec.json.encode(copy))
        else:
            answer = copy.error if copy.status is None else str(copy.status)
            print(f"{copy.id} {copy.type} {copy.source} -> {answer} in {copy.duration * 1_000:.0f} ms", flush=True)
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self.enough.set()


async def _listen(target: Target, wanted: _Wanted, *, forward: str, secret: str, realtime: str, shown: _Shown) -> None:
    import aiohttp  # noqa: PLC0415  # a plane's process does without

    from operations.api.client import connected  # noqa: PLC0415
    from operations.listen.forwarding import Forwarder  # noqa: PLC0415
    from operations.listen.stream import EventStream  # noqa: PLC0415
    from operations.listen.temporary import sweep, temporary_endpoint  # noqa: PLC0415

    async with contextlib.AsyncExitStack() as open_now:
        api = await open_now.enter_async_context(connected(target.url, target.key, target.workspace))
        copied: dict[str, Any] = {} if wanted.endpoint is None else await api.get(f"/endpoints/{wanted.endpoint}")
        await sweep(api)
        session = await open_now.enter_async_context(aiohttp.ClientSession())
        forwarder = Forwarder(session, forward, endpoint=copied, secret=secret, show=shown.show)
        filters = await _filters(api, wanted, open_now)
        made = await open_now.enter_async_context(temporary_endpoint(api))

        async def token() -> str:
            text: str = (await api.post("/realtime/connection-token", {"channels": [f"endpoint:{made}"]}))["token"]
            return text

        stream = await open_now.enter_async_context(EventStream(realtime, token, forwarder.take))
        for each in filters:
            await api.post("/subscriptions", {"filter": each, "endpoint": made})
        what = copied["name"] if copied else ", ".join(wanted.types)
        tell(f"Forwards {what} to {forward}, signed with {secret}. Ctrl-C ends it.", "green")
        await _until_over(stream.ended(), shown.enough)
        await forwarder.finish()


async def _until_over(ended: Any, enough: asyncio.Event) -> None:
    """Wait until there were enough, or the server ended the connection.

    Raises:
        HeadraceError: the server did.
    """
    waiting = [asyncio.ensure_future(ended), asyncio.ensure_future(enough.wait())]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if waiting[0].done():
            raise HeadraceError(f"The realtime node ended the connection: {waiting[0].result()}.")
    finally:
        for each in waiting:
            each.cancel()


async def _filters(api: OwnApi, wanted: _Wanted, open_now: contextlib.AsyncExitStack) -> list[str]:
    """The ids of the endpoint's filters; else of one that is there as long as the command."""
    from operations.listen.temporary import temporary_filter  # noqa: PLC0415  # a plane's process does without

    if wanted.endpoint is None:
        types = [selection(each) for each in wanted.types]
        condition = condition_text(wanted.condition)
        return [await open_now.enter_async_context(temporary_filter(api, types, condition))]
    links = [json.loads(bytes(each)) for each in await api.items("/subscriptions", 1_000, endpoint=wanted.endpoint)]
    found = [link["filter"] for link in links if link["enabled"]]
    if not found:
        raise HeadraceError(
            f"No enabled filter is linked to endpoint {wanted.endpoint}: it is sent nothing. Link one, or use --events."
        )
    return found
