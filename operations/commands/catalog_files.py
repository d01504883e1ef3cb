"""``headrace export`` and ``headrace import``: the catalog as a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.commands.asking import confirm
from operations.commands.calling import Json, calling
from operations.commands.shown import printed, show_json, show_rows
from operations.errors import WrongUsage
from operations.help_sections import ADMINISTER
from operations.private_files import write_private
from operations.telling import tell

if TYPE_CHECKING:
    from operations.api.client import OwnApi

_SHOWN_FIELDS = 6

All = Annotated[bool, typer.Option("--all", help="All workspaces, not one.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        rich_help_panel=ADMINISTER, epilog="Examples: headrace export; headrace export --all --to catalog.yaml"
    )(export)
    app.command(
        "import",
        rich_help_panel=ADMINISTER,
        epilog="Examples: headrace import catalog.yaml --all --dry-run; headrace import acme.yaml --prune --yes",
    )(import_)


@calling
async def export(
    api: OwnApi,
    *,
    everything: All = False,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="With secrets, encrypted with HEADRACE_SECRET_KEYS.")
    ] = False,
    to: Annotated[Path | None, typer.Option(help="Write it to this file; default: standard output.")] = None,
) -> None:
    """Export the catalog as YAML: the key's workspace, the one of --workspace, or all.

    The same catalog is always the same file. For administrators.
    """
    query = _place(api, everything=everything) | ({"sealed": "true"} if sealed else {})
    text = await api.large_text("/export", **query)
    if to is None:
        sys.stdout.write(text.decode())
        return
    try:
        write_private(to, text.decode())
    except OSError as error:
        raise WrongUsage(f"{to} cannot be written: {error.strerror}.") from error
    tell(f"Wrote {to}.", "green")


@calling
async def import_(
    api: OwnApi,
    file: Annotated[Path, typer.Argument(help="A file of headrace export; - is standard input.")],
    *,
    everything: All = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what the file does not have, of the kinds that it has.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Import a file: all of it, or nothing. Shows what would change, and asks.

    The same again changes nothing. What an export leaves out is listed: it has to be set. For administrators.
    """
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise WrongUsage(f"{file} cannot be read: {error.strerror}.") from error
    query = _place(api, everything=everything) | ({"prune": "true"} if prune else {})
    if dry_run or not yes:
        planned = await api.send("/import", text, "application/yaml", **query, dry_run="true")
        if dry_run and as_json:
            show_json(planned)
            return
        _show(planned)
        if dry_run or not planned["changes"]:
            return
        confirm(f"Make these {len(planned['changes'])} changes?")
    done = await api.send("/import", text, "application/yaml", **query)
    if as_json:
        show_json(done)
        return
    if yes:
        _show(done)
    print(f"Imported: {len(done['changes'])} changes, {done['unchanged']} unchanged.")


def _place(api: OwnApi, *, everything: bool) -> dict[str, str]:
    if not everything:
        return {}
    if api.workspace_name is not None:
        raise WrongUsage("--all and --workspace do not go together.")
    return {"all": "true"}


def _show(planned: dict[str, Any]) -> None:
    rows = [
        (each["action"], each["kind"], each["workspace"], each["id"], each["name"], _fields(each["fields"]))
        for each in planned["changes"]
    ]
    if rows:
        show_rows(("action", "kind", "workspace", "id", "name", "fields"), rows)
    else:
        print(f"Nothing changes: {planned['unchanged']} unchanged.")
    for each in planned["must_be_set"]:
        name = each["name"] or each["id"]
        tell(f"To be set: {each['what']} of {each['kind']} {name} ({each['workspace']}): {each['how']}", "yellow")
    for warning in planned["warnings"]:
        tell(warning, "yellow")


def _fields(changes: list[dict[str, Any]]) -> str:
    texts = []
    for each in changes[:_SHOWN_FIELDS]:
        before, after = printed(each["before"]), printed(each["after"])
        values = f": {before} → {after}" if before else f": {after}" if after else ""
        texts.append(f"{each['name']}{values}")
    more = len(changes) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more else "")
