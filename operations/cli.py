"""``headrace``: one command for every plane, and for all of them together."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from functools import partial
from importlib import metadata
from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from backbone.process.private_directory import create_for_owner_only
from backbone.process.readiness import mark_unready
from backbone.process.variables import unknown
from operations.broker.selection import BrokerKind, Choice
from operations.commands import (
    asking,
    audit,
    backup,
    balance,
    catalog_files,
    clients,
    completion,
    config,
    dead_letters,
    deliveries,
    doctor,
    endpoints,
    events,
    figures,
    filters,
    kafka_users,
    keys,
    listen,
    quickstart,
    quotas,
    receiver,
    runs,
    tail,
    types,
    workspaces,
)
from operations.errors import CannotStart
from operations.help_sections import ADMINISTER, RUN, TRY, Sections
from operations.output import lasting
from operations.running import join_broker, join_running
from operations.settings import OperationsSettings
from operations.supervisor.ports import is_free
from operations.telling import tell, telling

if TYPE_CHECKING:
    from operations.broker.guard import Guard

# Each command imports what it runs: one plane's process does not carry the libraries of the others.
# ruff: noqa: PLC0415

app = typer.Typer(
    cls=Sections,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


PLANES = ("ingest", "router", "ledger", "processors", "replayer", "monitor", "connector", "kafka-access")
"""Commands that log; the others print."""


class Routes(StrEnum):
    """Which routes an ingest process serves."""

    HOT = "hot"
    CONTROL = "control"


class Connector(StrEnum):
    """The destination of a connector's deliveries."""

    WEBHOOK = "webhook"
    WEBSOCKET = "websocket"
    FILE = "file"


class LocalKafka(StrEnum):
    """A Kafka that runs on this machine."""

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
            tell(sentence, "yellow")


@app.command(epilog="Example: headrace up --tour", rich_help_panel=RUN)
def up(
    kafka: Annotated[BrokerKind, typer.Option("--kafka", help="Which Kafka to run on.")] = BrokerKind.AUTO,
    *,
    tour: Annotated[bool, typer.Option("--tour", help="First send real events through it and show them.")] = False,
    leave: Annotated[bool, typer.Option("--exit", help="End after the tour; exit code 0 if all arrived.")] = False,
) -> None:
    """Run the broker and all planes on this machine until Ctrl-C."""
    from operations.supervisor.up import Up

    if leave and not tour:
        raise typer.BadParameter("use it together with --tour", param_hint="--exit")
    console = Console(file=lasting(sys.stdout))
    with telling():
        settings = OperationsSettings().with_free_ports()
        broker = _choice(settings, console, stand_in=tour).broker(kafka)
        raise typer.Exit(Up(settings, broker, console=console, tour=tour, stay=not leave).run())


@app.command(epilog="Example: headrace broker", rich_help_panel=RUN)
def broker(
    kafka: Annotated[LocalKafka, typer.Option("--kafka", help="Which Kafka to run.")] = LocalKafka.JARS,
) -> None:
    """Run the local Kafka alone until Ctrl-C."""
    from operations.supervisor.up import Up

    console = Console(file=lasting(sys.stdout))
    with telling():
        settings = OperationsSettings()
        chosen = _choice(settings, console, stand_in=False).broker(BrokerKind(kafka))
        raise typer.Exit(Up(settings, chosen, console=console).run_broker())


@app.command(epilog="Example: headrace ingest --only control", rich_help_panel=RUN)
def ingest(
    only: Annotated[
        Routes | None, typer.Option(help="Serve only the routes that publish (hot) or all others (control).")
    ] = None,
) -> None:
    """Run the HTTP plane: publishing and management."""
    from ingest_api.settings import IngestSettings
    from processes.ingest import run

    with telling():
        mark_unready()
        join_broker()
        settings = IngestSettings()
        run(settings if only is None else settings.model_copy(update={"only": only.value}))


@app.command(
    epilog="Example, with metrics and health on a port: HEADRACE_PROCESSORS_WEB_PORT=9101 headrace router",
    rich_help_panel=RUN,
)
def router() -> None:
    """Route events to deliveries.

    This is one worker. Several workers share the partitions of the event topics.
    """
    from processes.router import run
    from stream_processors.settings import ProcessorSettings

    with telling():
        mark_unready()
        join_broker()
        run(ProcessorSettings())


ledger = typer.Typer(invoke_without_command=True)
app.add_typer(ledger, name="ledger", rich_help_panel=RUN)


@ledger.callback(
    epilog="Example, with PostgreSQL: HEADRACE_LEDGER_URL=postgresql+psycopg://db/headrace headrace ledger"
)
def run_ledger(context: typer.Context) -> None:
    """Index events, deliveries and attempts into the ledger.

    This is one worker. Several workers share the partitions. While none runs, events are still routed and delivered;
    the next worker catches up.
    """
    if context.invoked_subcommand is not None:
        return
    from processes.ledger import run
    from stream_processors.settings import ProcessorSettings

    with telling():
        mark_unready()
        join_broker()
        run(ProcessorSettings())


@ledger.command(epilog="Example, to see what it would lose: headrace ledger rebuild --dry-run")
def rebuild(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be lost, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Fill the ledger anew with what Kafka still has.

    Stop every ledger worker first, and start them afterwards. One that is interrupted can be run again.
    """
    from operations.ledger_rebuild import run
    from stream_processors.settings import ProcessorSettings

    console = Console()
    with telling():
        join_running()
        ask = partial(asking.confirm, "Drop the ledger's tables and fill them from Kafka?")
        raise typer.Exit(run(console, ProcessorSettings(), dry_run=dry_run, confirm=(lambda: True) if yes else ask))


@app.command(epilog="Example: headrace processors", rich_help_panel=RUN)
def processors() -> None:
    """Run router and ledger in one process.

    One process takes less memory than two, but router and ledger share one CPU.
    """
    from processes.processors import run
    from stream_processors.settings import ProcessorSettings

    with telling():
        mark_unready()
        join_broker()
        run(ProcessorSettings())


@app.command(epilog="Example: headrace replayer", rich_help_panel=RUN)
def replayer() -> None:
    """Resend, replay and redrive deliveries.

    This is one worker. Several share the runs. Events are routed and delivered while none runs; the next one goes on
    with each run where it was left.
    """
    from processes.replayer import run
    from stream_processors.settings import ProcessorSettings

    with telling():
        mark_unready()
        join_broker()
        run(ProcessorSettings())


@app.command(
    epilog="Example, with metrics and health on a port: HEADRACE_PROCESSORS_MONITOR_WEB_PORT=9104 headrace monitor",
    rich_help_panel=RUN,
)
def monitor() -> None:
    """Watch topics and consumer groups: rates, sizes, lag, problems.

    One is enough. Events are routed and delivered while none runs; the figures are old then, and say so.
    """
    from processes.monitor import run
    from stream_processors.settings import ProcessorSettings

    with telling():
        mark_unready()
        join_broker()
        run(ProcessorSettings())


@app.command(epilog="Example: headrace connector webhook", rich_help_panel=RUN)
def connector(kind: Annotated[Connector, typer.Argument(help="The connector to run.", show_default=False)]) -> None:
    """Deliver events to webhooks, WebSocket clients or files.

    This is one worker. Several share the deliveries to webhooks and files; every WebSocket node has all of them.
    """
    from processes.connector import run
    from processes.settings import ConnectorSettings

    with telling():
        mark_unready()
        join_broker()
        run(kind, ConnectorSettings())


@app.command(epilog="Example: headrace tour", rich_help_panel=TRY)
def tour() -> None:
    """Send events through a running gateway.

    Acts as producer and subscriber in each of the five API families, and checks and shows every arrival. The gateway
    must allow webhooks to this machine (HEADRACE_WEBHOOK_ALLOW=127.0.0.0/8); headrace up --tour does.
    """
    from operations.tour.tour import run

    console = Console()
    with telling():
        join_running()
        run(OperationsSettings(), console)


@app.command(epilog="Example: headrace fixtures --json", rich_help_panel=TRY)
def fixtures(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Create clients to try the APIs with.

    The clients and workspaces have the names that the conformance cases use. Prints their ids and keys; each run makes
    new keys, and undoes the changes that trying the cases made to the clients.
    """
    from operations.tour.fixtures import run

    console = Console()
    with telling():
        join_running()
        run(OperationsSettings(), console, as_json=as_json)


@app.command(epilog="Example: headrace reseal", rich_help_panel=ADMINISTER)
def reseal() -> None:
    """Encrypt the stored secrets with a new secret key.

    Uses the first of HEADRACE_SECRET_KEYS. Afterwards the other keys can be removed: it is the last step of a rotation.
    """
    from operations.reseal import run

    console = Console()
    with telling():
        join_running()
        raise typer.Exit(run(console))


for commands in (
    quickstart,
    listen,
    receiver,
    events,
    deliveries,
    dead_letters,
    balance,
    doctor,
    endpoints,
    quotas,
    runs,
    figures,
    tail,
    types,
    filters,
    workspaces,
    clients,
    keys,
    audit,
    backup,
    catalog_files,
    kafka_users,
    config,
    completion,
):
    commands.add_to(app)


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
    from operations.broker.guard import Guard

    port = settings.kafka_sasl_port
    if port is not None and not is_free(port):
        raise CannotStart(f"port {port} (HEADRACE_KAFKA_SASL_PORT) is taken.")
    groups = [group for group in (settings.router_group, settings.ledger_group) if group]
    return Guard(home, sasl_port=port, is_open=settings.kafka_open, groups=groups)
