"""``headrace consumer-user`` and ``kafka-access``: users of Kafka, and what they may do there."""

from __future__ import annotations

from pathlib import Path  # typer reads the annotations
from typing import Annotated

import typer
from rich.console import Console

from backbone.process.readiness import mark_unready
from operations.help_sections import ADMINISTER
from operations.running import join_running
from operations.settings import OperationsSettings
from operations.telling import telling

# The commands import what they run.
# ruff: noqa: PLC0415

_USER = "Example: headrace consumer-user billing --prefix events.acme."
_ACCESS = "Example: headrace kafka-access --broker-password-file broker --planes-password-file planes"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("consumer-user", epilog=_USER, rich_help_panel=ADMINISTER)(consumer_user)
    app.command("kafka-access", epilog=_ACCESS, rich_help_panel=ADMINISTER)(kafka_access)


def consumer_user(
    name: Annotated[str, typer.Argument(help="Name of the user.", show_default=False)],
    prefix: Annotated[str, typer.Option(help="Prefix of the topics that the user may read.")] = "events.",
    *,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the user.")] = False,
) -> None:
    """Create a Kafka user for a team.

    The user may read the topics with a prefix, for example events.acme., in consumer groups that begin with its name (a
    dot or dash follows). The password is printed once; run the command again for a new one.
    """
    from operations.kafka_users.consumer_user import run

    console = Console()
    with telling():
        join_running()
        run(console, OperationsSettings().data_dir, name, prefix, delete=delete)


def kafka_access(
    broker_password: Annotated[
        Path, typer.Option("--broker-password-file", help="Password of the user headrace-broker.")
    ],
    planes_password: Annotated[Path, typer.Option("--planes-password-file", help="Password of the user headrace.")],
    *,
    stay: Annotated[bool, typer.Option("--stay", help="Then wait for SIGTERM, as a service.")] = False,
) -> None:
    """Create the planes' Kafka user and the ACLs.

    For a Kafka that is started elsewhere with Headrace's authorizer and credentials, as docker-compose.yml does.
    """
    from operations.kafka_users.kafka_access import run

    with telling():
        mark_unready()
        run(OperationsSettings(), broker_password, planes_password, stay=stay)
