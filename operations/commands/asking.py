"""Asks before something is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from operations.api.client import OwnApi

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


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
        typer.confirm(f"Delete {what}?", abort=True, err=True)
    await api.delete(path)
    print(f"Deleted {what}.")
