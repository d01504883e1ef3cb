"""``headrace doctor``: what is wrong, and how to cure it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from operations.commands.calling import Json
from operations.help_sections import LOOK
from operations.telling import telling

if TYPE_CHECKING:
    from operations.doctor.checks import Report

_EPILOG = "Examples: headrace doctor; headrace doctor --json; HEADRACE_URL=https://events.example.com headrace doctor"

WARNED, FAULTY, NOT_ALL_KNOWN = 1, 2, 3
"""Exit codes, as monitoring plugins have them."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=LOOK, epilog=_EPILOG)(doctor)


def doctor(
    *,
    url: Annotated[
        str | None, typer.Option(help="Of the gateway; default: HEADRACE_URL, or the one that runs here.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="API key; better in HEADRACE_KEY. Default: the administrator's here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find what is wrong, and say how to cure it.

    Looks at this machine, Kafka, the ledger, the secrets, the planes, the endpoints, topics and groups. It changes
    nothing, and says what it could not find out. Run it with the environment of the planes.

    Exit codes: 0 nothing is wrong; 1 warnings; 2 faults; 3 nothing was found, but not everything could be looked at.
    """
    with telling():
        from operations.doctor.checks import examine  # noqa: PLC0415  # a plane's process does without
        from operations.doctor.site import site_of  # noqa: PLC0415  # likewise

        with contextlib.closing(site_of(url, key)) as site:
            report = examine(site)
        if as_json:
            from operations.commands.shown import show_json  # noqa: PLC0415  # likewise

            show_json(msgspec.json.encode(report))
        else:
            _show(report)
        raise typer.Exit(exit_code(report))


def exit_code(report: Report) -> int:
    """The exit code that a report has."""
    if any(each.severity == "fault" for each in report.findings):
        return FAULTY
    if report.findings:
        return WARNED
    return NOT_ALL_KNOWN if report.not_known else 0


def _show(report: Report) -> None:
    for each in report.findings:
        print(f"{each.severity.upper()} {each.cause}\n  {each.what}\n  Cure: {each.cure}\n")
    reasons: dict[str, list[str]] = {}
    for unknown in report.not_known:
        reasons.setdefault(unknown.why, []).append(unknown.check)
    for why, checks in reasons.items():
        print(f"NOT KNOWN {', '.join(checks)}\n  {why}\n")
    print(f"Fine: {', '.join(report.fine) or 'nothing'}.")
