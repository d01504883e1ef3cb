"""What the person who started an installation sees of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from operations.supervisor.supervisor import PartState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from rich.console import Console, RenderableType

    from operations.supervisor.supervisor import Part

_STYLES = {
    PartState.WAITING: "dim",
    PartState.STARTING: "yellow",
    PartState.LATE: "yellow",
    PartState.READY: "green",
    PartState.RESTARTING: "red",
    PartState.STOPPING: "yellow",
    PartState.STOPPED: "dim",
}
_BUSY = {PartState.STARTING, PartState.LATE, PartState.RESTARTING, PartState.STOPPING}
_SINCE_START = {PartState.STARTING, PartState.LATE, PartState.READY}
_TROUBLED = {PartState.LATE, PartState.RESTARTING}


class Progress:
    """A table that is drawn over and over on a terminal; elsewhere a line for each change.

    Used as a context manager around the time in which it may draw; ``pause`` leaves the last table standing.
    """

    def __init__(self, console: Console, parts: Sequence[Part]) -> None:
        self._console = console
        self._parts = parts
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.pause()

    def resume(self) -> None:
        """Draw from now on."""
        if self._console.is_terminal and self._live is None:
            # Drawn by refresh(): a thread of its own would draw while others print.
            self._live = Live(self._table(), console=self._console, auto_refresh=False)
            self._live.start(refresh=True)

    def pause(self) -> None:
        """Draw once more and then no longer, so that others may print."""
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
            self._live.stop()
            self._live = None

    def changed(self, part: Part) -> None:
        """A part's state is another."""
        if self._live is not None:
            self.refresh()
        elif part.state is PartState.READY:
            took = part.changed_at - part.started_at
            self._console.print(
                f"{part.name}: ready after {took:.1f} s{_in_brackets(part.note)}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        else:
            why = _in_brackets(part.trouble) if part.state in _TROUBLED else ""
            self._console.print(f"{part.name}: {part.state}{why}", markup=False, highlight=False, soft_wrap=True)

    def refresh(self) -> None:
        """Draw the spinners and seconds of this moment."""
        if self._live is not None:
            self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for part in self._parts:
            table.add_row(self._sign(part), part.name, Text(part.state, _STYLES[part.state]), *self._rest(part))
        return table

    def _sign(self, part: Part) -> RenderableType:
        if part.state in _BUSY:
            return self._spinner
        return Text("✓", "green") if part.state is PartState.READY else Text("·", "dim")

    @staticmethod
    def _rest(part: Part) -> tuple[RenderableType, RenderableType]:
        if part.state is PartState.WAITING:
            return "", ""
        end = part.changed_at if part.state is PartState.READY else time.monotonic()
        seconds = end - (part.started_at if part.state in _SINCE_START else part.changed_at)
        return Text(f"{seconds:.1f} s", "dim", justify="right"), Text(part.trouble or part.note, "dim")


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""
