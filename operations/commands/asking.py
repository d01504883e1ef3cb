"""Asks before something is changed that cannot be had back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from operations.errors import NotConfirmed

if TYPE_CHECKING:
    from operations.api.client import OwnApi

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def confirm(question: str) -> bool:
    """Ask on the terminal; True if the answer is yes. A pipe is never asked: a "y" in it was meant for something else.

    Raises:
        NotConfirmed: there is no terminal to answer on.
        Abort: the answer is no.
    """
    if not has_terminal():
        raise NotConfirmed(f"{question} Nothing was done: nobody can answer here. Give --yes to do it.")
    return typer.confirm(question, abort=True, err=True)


def has_terminal() -> bool:
    """Whether somebody can answer on standard input."""
    return sys.stdin is not None and sys.stdin.isatty()


async def removed(api: OwnApi, path: str, what: str, *, dry_run: bool, yes: bool) -> None:
    """Delete a resource, unless it is a dry run or the answer is no.

    Args:
        api: to call.
        path: of the resource.
        what: it is called.
        dry_run: only say so.
        yes: do not ask.
    """
    if dry_run:
        print(f"Would delete {what}.")
        return
    if not yes:
        confirm(f"Delete {what}?")
    await api.delete(path)
    print(f"Deleted {what}.")
