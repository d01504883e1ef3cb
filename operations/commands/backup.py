"""``headrace backup`` and ``restore``: the control plane in a file, and back on a new Kafka."""

from __future__ import annotations

from pathlib import Path  # typer reads the annotations
from typing import Annotated

import typer

from operations.commands.asking import confirm
from operations.help_sections import ADMINISTER
from operations.running import join_running
from operations.telling import telling


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=ADMINISTER, epilog="Example: headrace backup catalog.backup")(backup)
    app.command(rich_help_panel=ADMINISTER, epilog="Example: headrace restore catalog.backup --dry-run")(restore)


def backup(file: Annotated[Path, typer.Argument(help="To write; it must not be there.")]) -> None:
    """Save the catalog and the schemas to a file.

    The file has workspaces, clients, event types, endpoints, filters and subscriptions; no events. Secrets in it are
    encrypted with HEADRACE_SECRET_KEYS: keep these, and HEADRACE_TOKEN_SECRET, apart from it (docs/operations.md).
    """
    from backbone.kafka.settings import KafkaSettings  # noqa: PLC0415  # a plane's process does without
    from operations.backup.backup import take  # noqa: PLC0415  # likewise
    from operations.backup.backup_file import save  # noqa: PLC0415  # likewise

    with telling():
        join_running()
        head, records = take(KafkaSettings())
        save(file, head, records)
        print(f"Saved {head.records:,} records to {file}. The secret keys are not in it.")


def restore(
    file: Annotated[Path, typer.Argument(help="That headrace backup wrote.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look whether it can be restored, and write nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Write a backup to a new Kafka, before the first start of headrace ingest.

    Needs the HEADRACE_SECRET_KEYS of the installation that was saved. Makes the topics of the event types, and then
    writes all or nothing.
    """
    from backbone.kafka.settings import KafkaSettings  # noqa: PLC0415  # a plane's process does without
    from backbone.process.settings import BackboneSettings  # noqa: PLC0415  # likewise
    from operations.backup import backup as backups  # noqa: PLC0415  # likewise
    from operations.backup.backup_file import load  # noqa: PLC0415  # likewise

    with telling():
        join_running()
        head, records = load(file)
        kafka, keys = KafkaSettings(), BackboneSettings().secret_keys
        backups.check_keys(records, keys)
        backups.check_empty(kafka)
        print(f"{file} has {head.records:,} records of {head.taken_at}, for the Kafka at {kafka.bootstrap_servers}.")
        if dry_run:
            print("This was a dry run: nothing was written.")
            return
        if not yes:
            confirm("Restore them?")
        kinds = backups.restore(kafka, records, keys)
        print(f"Restored {head.records:,} records and the topics of {kinds:,} event types. Now start headrace ingest.")
