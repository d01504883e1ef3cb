"""``headrace ledger rebuild``: what it says, and what it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from processes.ledger_rebuild import fill, rebuilding
from schemas.model import timestamps

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from stream_processors.indexing.rebuild import Loss
    from stream_processors.settings import ProcessorSettings


def run(console: Console, settings: ProcessorSettings, *, dry_run: bool, confirm: Callable[[], bool]) -> int:
    """Say what would be lost, and unless it is a dry run, fill the ledger anew; return the exit status.

    Args:
        console: where it is said.
        settings: of the ledger's agents.
        dry_run: change nothing.
        confirm: asks whether to go on.

    Raises:
        Misconfigured: an agent runs, or the ledger cannot be opened.
        Unavailable: Kafka or the database does not answer.
    """
    with rebuilding(settings) as rebuild:
        for loss in rebuild.losses():
            console.print(_sentence(loss), markup=False, highlight=False, soft_wrap=True)
        if dry_run:
            console.print("This was a dry run: nothing was changed.")
            return 0
        if not confirm():
            console.print("Nothing was changed.")
            return 1
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("Records", total=None)
            fill(settings, rebuild, lambda read, total: bar.update(task, completed=read, total=total))
        console.print("The ledger has what Kafka has. Start `headrace ledger` again: it goes on from here.")
    return 0


def _sentence(loss: Loss) -> str:
    if loss.earliest is None:
        return f"{loss.what}: Kafka has none any more; {loss.rows:,} rows of the ledger would be lost."
    since = timestamps.to_text(loss.earliest)
    if not loss.rows:
        return f"{loss.what}: Kafka has them since {since}; none of the ledger's {loss.kept:,} rows is lost."
    return f"{loss.what}: Kafka has them since {since}; {loss.rows:,} older rows would be lost, {loss.kept:,} are kept."
