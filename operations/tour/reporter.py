"""How the tour tells what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.errors import TourFailed

if TYPE_CHECKING:
    from rich.console import Console


class Narrator:
    """Prints what happens, and stops the tour at the first thing that is not as it should be."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, title: str) -> None:
        """A new stage begins."""
        self._console.print(f"\n[bold]{title}[/bold]", soft_wrap=True)

    def show(self, name: str, text: object) -> None:
        """Something to look at."""
        self._console.print(f"    {name:<12}{text}", markup=False, highlight=False, soft_wrap=True)

    def check(self, what: str, **properties: bool) -> None:
        """Something that must be there, with properties that must all be so.

        Raises:
            TourFailed: one is not; its name is in the message.
        """
        for name, so in properties.items():
            if not so:
                raise TourFailed(f"The tour failed: {what}: not {name.replace('_', ' ')}")
        said = ", ".join(name.replace("_", " ") for name in properties)
        self._console.print("  [green]✓[/green] ", end="")
        self._console.print(f"{what}: {said}", markup=False, highlight=False, soft_wrap=True)
