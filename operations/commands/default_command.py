"""A group of commands one of which runs when none is named: ``headrace topics`` is ``headrace topics list``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class Listing(TyperGroup):
    """Its first command is the one that runs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the first command where the arguments name none."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [next(iter(self.commands)), *args]
        return super().parse_args(ctx, args)
