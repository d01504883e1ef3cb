"""The commands of ``headrace --help`` in sections: each command's help panel names its own."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

RUN = "Run"
TRY = "Try it out"
LOOK = "See what became of events"
STEER = "Steer deliveries"
ADMINISTER = "Administer"

_ORDER = (RUN, TRY, LOOK, STEER, ADMINISTER)


class Sections(TyperGroup):
    """A group that lists its commands by section."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one list a section; names are aligned across all of them."""
        shown = [(name, self.commands[name]) for name in self.list_commands(ctx) if not self.commands[name].hidden]
        longest = max(len(name) for name, _ in shown)
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in _ORDER}
        for name, command in shown:
            title = getattr(command, "rich_help_panel", None)
            line = command.get_short_help_str(formatter.width - 6 - longest)
            sections.setdefault(title if isinstance(title, str) else "Commands", []).append((name.ljust(longest), line))
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
