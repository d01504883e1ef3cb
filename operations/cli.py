"""``headrace``: one command for every plane, and for all of them together."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from operations.choice import BrokerKind, Choice
from operations.settings import OperationsSettings
from schemas.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each command imports what it runs: one plane's process does not carry the libraries of the others.
# ruff: noqa: PLC0415

app = typer.Typer(
    help="Headrace, a Kafka-native event gateway.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Routes(StrEnum):
    """Which routes an ingest process serves."""

    HOT = "hot"
    CONTROL = "control"


Kafka = Annotated[BrokerKind, typer.Option("--kafka", help="Which Kafka to run on.")]


@app.command()
def up(
    kafka: Kafka = BrokerKind.AUTO,
    *,
    tour: Annotated[bool, typer.Option("--tour", help="Send real events through it first, and show them.")] = False,
    leave: Annotated[bool, typer.Option("--exit", help="End after the tour, with its verdict as exit status.")] = False,
) -> None:
    """Run the broker and all planes on this machine until Ctrl-C."""
    from operations.up import Up

    console = Console()
    with _telling(console):
        settings = OperationsSettings().with_free_ports()
        broker = _choice(settings, console, stand_in=tour).broker(kafka)
        raise typer.Exit(Up(settings, broker, console=console, tour=tour, stay=not leave).run())


@app.command()
def broker(kafka: Kafka = BrokerKind.JARS) -> None:
    """Run the local Kafka alone until Ctrl-C."""
    from operations.up import Up

    console = Console()
    with _telling(console):
        settings = OperationsSettings()
        chosen = _choice(settings, console, stand_in=False).broker(kafka)
        raise typer.Exit(Up(settings, chosen, console=console).run_broker())


@app.command()
def ingest(only: Annotated[Routes | None, typer.Option(help="Serve only these routes.")] = None) -> None:
    """Run the HTTP plane."""
    from ingest_api.main import run
    from ingest_api.settings import IngestSettings

    with _telling(Console(stderr=True)):
        settings = IngestSettings()
        run(settings if only is None else settings.model_copy(update={"only": only.value}))


@app.command()
def processors() -> None:
    """Run one worker that routes events to deliveries and indexes the ledger."""
    from stream_processors.main import run
    from stream_processors.settings import ProcessorSettings

    with _telling(Console(stderr=True)):
        run(ProcessorSettings())


@app.command()
def connector(kind: Annotated[str, typer.Argument(help="Which one: webhook, websocket or file.")]) -> None:
    """Run one worker that takes deliveries outside."""
    from connectors.main import run
    from connectors.settings import ConnectorSettings

    with _telling(Console(stderr=True)):
        run(kind, ConnectorSettings())


@app.command()
def tour() -> None:
    """Send real events through a gateway that runs, check every arrival, and show them."""
    from operations.tour import run

    console = Console()
    with _telling(console):
        _join_running()
        run(OperationsSettings(), console)


@app.command()
def fixtures(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Create the clients and workspaces that the conformance cases name, and print their ids and keys."""
    from operations.fixtures import run

    console = Console()
    with _telling(console):
        _join_running()
        run(OperationsSettings(), console, as_json=as_json)


def main() -> None:
    """The entry point of the ``headrace`` command."""
    app()


def _join_running() -> None:
    """Take the ports that ``headrace up`` decided on for this data directory, unless the environment names others."""
    from operations.installation import running_file

    path = running_file(OperationsSettings().data_dir)
    if path.exists():
        for name, value in json.loads(path.read_text(encoding="utf-8")).items():
            os.environ.setdefault(name, value)


def _choice(settings: OperationsSettings, console: Console, *, stand_in: bool) -> Choice:
    return Choice(
        settings.data_dir.resolve(),
        environment=os.environ,
        report=lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True),
        port=settings.kafka_port,
        stand_in=stand_in,
    )


@contextlib.contextmanager
def _telling(console: Console) -> Iterator[None]:
    """What the caller can mend is told in words, not as a traceback."""
    try:
        yield
    except HeadraceError as error:
        console.print(f"{error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"])
            console.print(f"{name}: {problem['msg']}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
