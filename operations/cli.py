"""``headrace``: one command for every plane, and for all of them together."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from enum import StrEnum
from importlib import metadata
from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from pydantic_settings import BaseSettings
from rich.console import Console

from backbone.private_directory import create_for_owner_only
from backbone.readiness import mark_unready
from backbone.variables import unknown
from operations.choice import BOOTSTRAP_VARIABLE, BrokerKind, Choice
from operations.errors import CannotStart
from operations.output import lasting
from operations.ports import is_free
from operations.settings import OperationsSettings
from schemas.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.guard import Guard

# Each command imports what it runs: one plane's process does not carry the libraries of the others.
# ruff: noqa: PLC0415

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


PLANES = ("ingest", "processors", "connector", "kafka-access")
"""Commands that log what the others print."""


class Routes(StrEnum):
    """Which routes an ingest process serves."""

    HOT = "hot"
    CONTROL = "control"


class Connector(StrEnum):
    """Where a connector takes deliveries."""

    WEBHOOK = "webhook"
    WEBSOCKET = "websocket"
    FILE = "file"


class LocalKafka(StrEnum):
    """A Kafka that can be run on this machine."""

    JARS = BrokerKind.JARS
    CONTAINERS = BrokerKind.CONTAINERS
    TANSU = BrokerKind.TANSU


def _print_version(wanted: bool) -> None:  # noqa: FBT001  # an option's callback is called so
    if wanted:
        print(f"headrace {metadata.version('headrace')}")
        raise typer.Exit


@app.callback()
def headrace(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Headrace, a Kafka-native event gateway."""
    del version  # its callback has ended the command
    create_for_owner_only()
    if context.invoked_subcommand not in PLANES:
        for sentence in unknown(os.environ):
            _tell(sentence, "yellow")


@app.command()
def up(
    kafka: Annotated[BrokerKind, typer.Option("--kafka", help="Which Kafka to run on.")] = BrokerKind.AUTO,
    *,
    tour: Annotated[bool, typer.Option("--tour", help="Send real events through it first, and show them.")] = False,
    leave: Annotated[bool, typer.Option("--exit", help="End after the tour, with its verdict as exit status.")] = False,
) -> None:
    """Run the broker and all planes on this machine until Ctrl-C."""
    from operations.up import Up

    if leave and not tour:
        raise typer.BadParameter("it goes with --tour", param_hint="--exit")
    console = Console(file=lasting(sys.stdout))
    with _telling():
        settings = OperationsSettings().with_free_ports()
        broker = _choice(settings, console, stand_in=tour).broker(kafka)
        raise typer.Exit(Up(settings, broker, console=console, tour=tour, stay=not leave).run())


@app.command()
def broker(
    kafka: Annotated[LocalKafka, typer.Option("--kafka", help="Which Kafka to run.")] = LocalKafka.JARS,
) -> None:
    """Run the local Kafka alone until Ctrl-C."""
    from operations.up import Up

    console = Console(file=lasting(sys.stdout))
    with _telling():
        settings = OperationsSettings()
        chosen = _choice(settings, console, stand_in=False).broker(BrokerKind(kafka))
        raise typer.Exit(Up(settings, chosen, console=console).run_broker())


@app.command()
def ingest(only: Annotated[Routes | None, typer.Option(help="Serve only these routes.")] = None) -> None:
    """Run the HTTP plane."""
    from ingest_api.main import run
    from ingest_api.settings import IngestSettings

    with _telling():
        mark_unready()
        _join_broker()
        settings = IngestSettings()
        run(settings if only is None else settings.model_copy(update={"only": only.value}))


@app.command()
def processors() -> None:
    """Route events, and index the ledger.

    One worker; several share the event topics' partitions.
    """
    from stream_processors.main import run
    from stream_processors.settings import ProcessorSettings

    with _telling():
        mark_unready()
        _join_broker()
        run(ProcessorSettings())


@app.command()
def connector(kind: Annotated[Connector, typer.Argument(help="Which one.", show_default=False)]) -> None:
    """Take deliveries outside.

    One worker; several share the deliveries, and each realtime node has all of them.
    """
    from connectors.main import run
    from connectors.settings import ConnectorSettings

    with _telling():
        mark_unready()
        _join_broker()
        run(kind, ConnectorSettings())


@app.command()
def tour() -> None:
    """Send events through a running gateway.

    It plays producers and subscribers of the five API families, checks every arrival, and shows them. Webhooks to this
    machine must be allowed there (HEADRACE_WEBHOOK_ALLOW=127.0.0.0/8), as headrace up --tour has it.
    """
    from operations.tour import run

    console = Console()
    with _telling():
        _join_running()
        run(OperationsSettings(), console)


@app.command()
def fixtures(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Create clients to try the APIs with.

    They and their workspaces are those that the conformance cases name; what trying the cases changed of them is put
    back. Their ids and keys are printed; each run makes new keys.
    """
    from operations.fixtures import run

    console = Console()
    with _telling():
        _join_running()
        run(OperationsSettings(), console, as_json=as_json)


@app.command()
def reseal() -> None:
    """Seal stored secrets with a new secret key.

    The first of HEADRACE_SECRET_KEYS seals them from then on: the last step before the others can be dropped.
    """
    from operations.reseal import run

    console = Console()
    with _telling():
        _join_running()
        raise typer.Exit(run(console))


@app.command("consumer-user")
def consumer_user(
    name: Annotated[str, typer.Argument(help="Of the user.", show_default=False)],
    prefix: Annotated[str, typer.Option(help="Of the topics that it may read.")] = "events.",
    *,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the user.")] = False,
) -> None:
    """Make a user of Kafka for a team.

    It may read the topics with a prefix, such as events.acme., with consumer groups of its own name. Its password is
    printed once; run it again for another one.
    """
    from operations.consumer_user import run

    console = Console()
    with _telling():
        _join_running()
        run(console, OperationsSettings().data_dir, name, prefix, delete=delete)


@app.command("kafka-access")
def kafka_access(
    broker_password: Annotated[Path, typer.Option("--broker-password-file", help="Of the user headrace-broker.")],
    planes_password: Annotated[Path, typer.Option("--planes-password-file", help="Of the user headrace.")],
    *,
    stay: Annotated[bool, typer.Option("--stay", help="Then wait for SIGTERM, as a service.")] = False,
) -> None:
    """Make the planes' user and the ACLs.

    For a Kafka that others start with our authorizer and credentials, as docker-compose.yml does.
    """
    from operations.kafka_access import run

    with _telling():
        mark_unready()
        run(OperationsSettings(), broker_password, planes_password, stay=stay)


def _join_running() -> None:
    """Take the ports that ``headrace up`` decided on for this data directory, unless the environment names others."""
    from operations.installation import running_file

    _take_environment(running_file(OperationsSettings().data_dir))
    _join_broker()


def _join_broker() -> None:
    """Connect to the ``headrace broker`` of this data directory, unless the environment names another Kafka."""
    from operations.installation import broker_file

    if BOOTSTRAP_VARIABLE not in os.environ:
        _take_environment(broker_file(OperationsSettings().data_dir))


def _take_environment(path: Path) -> None:
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
        guarded=lambda home: _guard(settings, home),
    )


def _guard(settings: OperationsSettings, home: Path) -> Guard:
    from operations.guard import Guard

    port = settings.kafka_sasl_port
    if port is not None and not is_free(port):
        raise CannotStart(f"port {port} (HEADRACE_KAFKA_SASL_PORT) is taken.")
    groups = [group for group in (settings.router_group, settings.ledger_group) if group]
    return Guard(home, sasl_port=port, is_open=settings.kafka_open, groups=groups)


@contextlib.contextmanager
def _telling() -> Iterator[None]:
    """What the caller can mend is told in words on standard error, not as a traceback."""
    try:
        yield
    except HeadraceError as error:
        _tell(str(error))
        sys.exit(1)
    except ValidationError as error:
        for problem in error.errors():
            _tell(f"{_variable(error.title, problem['loc'])}: {problem['msg']}")
        sys.exit(2)


def _tell(text: str, style: str = "red") -> None:
    Console(stderr=True).print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _variable(settings: str, place: tuple[int | str, ...]) -> str:
    """The environment variable that a member of the settings class of that name is read from."""
    name, *inside = (str(part) for part in place)
    prefixes = {each.__name__: each.model_config.get("env_prefix", "") for each in _settings_classes(BaseSettings)}
    variable = name if name.isupper() else f"{prefixes.get(settings, '')}{name}".upper()
    return ": ".join([variable, *inside])


def _settings_classes(base: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for each in base.__subclasses__():
        yield each
        yield from _settings_classes(each)
