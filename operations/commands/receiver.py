"""``headrace receiver``: a webhook receiver to try deliveries with."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from operations.errors import WrongUsage
from operations.help_sections import TRY
from operations.telling import tell, telling

if TYPE_CHECKING:
    from collections.abc import Callable

    from operations.receiver.server import Arrival

    Show = Callable[[Arrival], None]

_EXAMPLES = (
    "Example, which fails twice, hangs once and then accepts: headrace receiver --secret whsec_… --script "
    "500x2,hang:5,204. Steps of a script: a status (503), a status with Retry-After (429:30), gone, redirect:URL, "
    "hang:SECONDS, drip:SECONDS, reset; 500x3 is three times 500, and the last step stays."
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=TRY, epilog=_EXAMPLES)(receiver)


def receiver(
    *,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="To listen on; 0: any that is free.")] = 3000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    secret: Annotated[
        str | None,
        typer.Option(help="Signing secret of the endpoint: what is not signed with it is answered 401."),
    ] = None,
    script: Annotated[str | None, typer.Option(help="How to answer, one step a request; see below.")] = None,
    status: Annotated[int | None, typer.Option(min=200, max=599, help="Answer this.")] = None,
    retry_after: Annotated[
        int | None, typer.Option(min=0, help="Seconds, as Retry-After; of status 429 unless --status is given.")
    ] = None,
    hang: Annotated[float | None, typer.Option(min=0, help="Answer after so many seconds.")] = None,
    drip: Annotated[float | None, typer.Option(min=0.001, help="Send a byte every so many seconds.")] = None,
    gone: Annotated[bool, typer.Option("--gone", help="Answer 410.")] = False,
    redirect: Annotated[str | None, typer.Option(metavar="URL", help="Answer 302 to this URL.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Reset the connection.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many requests.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """Receive webhooks, print them, and answer as told."""
    with telling():
        wanted = _script(
            script=script,
            status=status,
            retry_after=retry_after,
            hang=hang,
            drip=drip,
            gone=gone,
            redirect=redirect,
            reset=reset,
        )
        show = _show_json if as_json else _show
        asyncio.run(_receive(wanted, host=host, port=port, secret=secret, count=count, show=show))


def _script(**options: object) -> str:
    """The script that the options stand for.

    Raises:
        WrongUsage: there are several.
    """
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    match given:
        case {"status": status, "retry_after": seconds} if len(given) == 2:  # noqa: PLR2004  # these two
            return f"{status}:{seconds}"
        case {"retry_after": seconds} if len(given) == 1:
            return f"429:{seconds}"
        case {"script": text} if len(given) == 1:
            return str(text)
        case {"status": status} if len(given) == 1:
            return str(status)
    if not given:
        return "204"
    if len(given) > 1:
        names = ", ".join("--" + name.replace("_", "-") for name in given)
        raise WrongUsage(f"{names} do not go together. Say in --script which answer comes when.")
    ((name, value),) = given.items()
    return name if value is True else f"{name}:{value}"


async def _receive(script: str, *, host: str, port: int, secret: str | None, count: int | None, show: Show) -> None:
    from operations.receiver.server import ScriptedReceiver  # noqa: PLC0415  # a plane's process does without
    from operations.receiver.signatures import Verifier  # noqa: PLC0415
    from operations.receiver.steps import Script  # noqa: PLC0415

    enough = asyncio.Event()

    def take(arrival: Arrival) -> None:
        show(arrival)
        if arrival.number == count:
            enough.set()

    verifier = None if secret is None else Verifier(secret)
    async with ScriptedReceiver(Script(script), host=host, port=port, verifier=verifier, on_arrival=take) as running:
        tell(f"Receives at {running.url} and answers {script}. Ctrl-C ends it.", "green")
        await enough.wait()


def _show(arrival: Arrival) -> None:
    message = arrival.headers.get("webhook-id", "")
    print(
        f"{arrival.at} #{arrival.number} {arrival.method} {arrival.target} {message} signature {arrival.signature}"
        f" -> {arrival.answer}"
    )
    print(f"  {arrival.body.decode(errors='replace')}", flush=True)


def _show_json(arrival: Arrival) -> None:
    shown = dataclasses.asdict(arrival) | {"body": arrival.body.decode(errors="replace")}
    print(json.dumps(shown, ensure_ascii=False), flush=True)
