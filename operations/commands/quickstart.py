"""``headrace quickstart``: all that a first event needs, and what to paste to see it arrive."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from operations.commands.calling import Json, calling
from operations.commands.shown import show_json
from operations.errors import CallFailed
from operations.help_sections import TRY
from operations.telling import tell

if TYPE_CHECKING:
    from operations.api.client import OwnApi

EXAMPLES = Path(__file__).parents[1] / "examples"

_RECEIVER_PORT = 3000
_RECEIVER = f"http://127.0.0.1:{_RECEIVER_PORT}/"
_KAFKA_UNKNOWN = "127.0.0.1:9092"

_TASKS = {
    "receive": "Receive its webhooks, in a shell of its own",
    "publish": "Publish an event",
    "consume": "Consume it from Kafka; Ctrl-C ends it",
}


class Language(StrEnum):
    """What recipes are printed in."""

    CURL = "curl"
    PYTHON = "python"
    JAVASCRIPT = "javascript"


_SUFFIX = {Language.CURL: "sh", Language.PYTHON: "py", Language.JAVASCRIPT: "mjs"}
_RUN = {Language.PYTHON: "python3 -", Language.JAVASCRIPT: "node --input-type=module -"}
_TITLE = {
    Language.CURL: "curl and kcat",
    Language.PYTHON: "Python",
    Language.JAVASCRIPT: "JavaScript (Node.js 18 or later)",
}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=TRY, epilog="Example: headrace quickstart --language python")(quickstart)


@calling
async def quickstart(
    api: OwnApi,
    *,
    language: Annotated[
        list[Language] | None, typer.Option(help="Print recipes in this language only. Repeatable.")
    ] = None,
    receive: Annotated[str, typer.Option(metavar="URL", help="Where webhooks shall go; empty: nowhere.")] = _RECEIVER,
    new_secrets: Annotated[
        bool, typer.Option("--new-secrets", help="Make another key and signing secret: each is shown once.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Set up a first event, and print what to paste to publish, receive and consume it.

    It makes an event type, a client with a key that may publish it, and an endpoint for its webhooks. Run it again at
    any time: what is there stays as it is.
    """
    made = await _set_up(api, receive, new_secrets=new_secrets)
    if as_json:
        show_json(made)
        return
    print("\n".join(_shell(api.url, made)), end="\n\n")
    tasks = _TASKS if made["endpoint"] else {name: title for name, title in _TASKS.items() if name != "receive"}
    for each in language or Language:
        print(f"# {_TITLE[each]}", end="\n\n")
        for task, title in tasks.items():
            print(f"# {title}:\n{recipe(task, each)}")


def recipe(task: str, language: Language) -> str:
    """What to paste into a shell for a task."""
    text = (EXAMPLES / f"{task}.{_SUFFIX[language]}").read_text(encoding="utf-8")
    return f"{_RUN[language]} <<'EOF'\n{text}EOF\n" if language in _RUN else text


async def _set_up(api: OwnApi, receive: str, *, new_secrets: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"new_secrets": new_secrets}
    try:
        made: dict[str, Any] = await api.post("/quickstart", body | ({"url": receive} if receive else {}))
    except CallFailed as error:
        if error.status != HTTPStatus.BAD_REQUEST or not receive:
            raise
        tell(f"There is no endpoint for webhooks. {error}", "yellow")
        if receive == _RECEIVER:
            tell(
                "To receive on this machine, start the gateway with HEADRACE_WEBHOOK_ALLOW=127.0.0.0/8, or run: "
                f"headrace listen --forward {receive}",
                "yellow",
            )
        made = await api.post("/quickstart", body)
    return made


def _shell(url: str, made: dict[str, Any]) -> list[str]:
    """The variables that recipes read, for every shell."""
    from operations.running import consumer_servers  # noqa: PLC0415  # a plane's process does without

    event_type, endpoint = made["event_type"], made["endpoint"]
    new = ", ".join(name.replace("_", " ") for name in made["created"])
    lines = [
        f"# Event type {event_type['namespace']}/{event_type['code']}; client {made['client']}"
        + (f"; endpoint {endpoint['id']}, {endpoint['url']}" if endpoint else ""),
        f"# New: {new}. Keys and secrets are shown this once." if new else "# Nothing is new: it was all there.",
        "# Paste this into every shell first:",
        _export("HEADRACE_URL", url),
        _secret("HEADRACE_KEY", made["key"]),
    ]
    if endpoint:
        lines.append(_secret("WEBHOOK_SECRET", endpoint["signing_secret"]))
        lines.append(_export("PORT", str(urlsplit(endpoint["url"]).port or _RECEIVER_PORT)))
    lines.append(_export("KAFKA_SERVERS", consumer_servers() or _KAFKA_UNKNOWN))
    lines.append(_export("EVENT_TOPIC", event_type["topic"]))
    if shutil.which("headrace") is None:
        lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}{os.pathsep}"$PATH"')
    return lines


def _export(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _secret(name: str, value: str | None) -> str:
    if value is None:
        return f"# {name} was shown when it was made; headrace quickstart --new-secrets makes another."
    return _export(name, value)
