"""``headrace completion``: what a shell has to read to complete our commands."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from operations.help_sections import ADMINISTER


class Shell(StrEnum):
    """A shell that completion is written for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=ADMINISTER, epilog="Example: headrace completion bash")(completion)


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.", show_default=False)]) -> None:
    """Print a completion script: source it in your shell's start file.

    In bash: source <(headrace completion bash). In fish: headrace completion fish | source.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # noqa: PLC0415  # as its documentation has it

    print(get_completion_script(prog_name="headrace", complete_var="_HEADRACE_COMPLETE", shell=shell.value))
