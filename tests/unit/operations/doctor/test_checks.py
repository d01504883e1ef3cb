"""How the checks are worked through, and the exit codes of the command."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from operations.commands.doctor import exit_code
from operations.doctor.checks import CHECKS, Check, Report, Unknown, examine
from operations.doctor.findings import Finding, fault, warning
from operations.errors import NotKnown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from operations.doctor.site import Site

FAULT, WARNING = fault("broken", "It is broken.", "Mend it."), warning("worn", "It is worn.", "Replace it.")


def finding(*found: Finding) -> Callable[[Site], list[Finding]]:
    return lambda _site: list(found)


def failing(error: Exception) -> Callable[[Site], Iterator[Finding]]:
    def look(_site: Site) -> Iterator[Finding]:
        raise error
        yield FAULT

    return look


def test_a_check_that_hangs_breaks_or_cannot_find_out_leaves_the_others_standing(site: Callable[..., Site]) -> None:
    awake = threading.Event()

    def hanging(_site: Site) -> list[Finding]:
        awake.wait()
        return []

    checks = [
        Check("worn", finding(WARNING)),
        Check("broken", finding(FAULT)),
        Check("fine", finding()),
        Check("after broken", finding(FAULT), ("broken",)),
        Check("after worn", finding(), ("worn",)),
        Check("hanging", hanging),
        Check("after hanging", finding(FAULT), ("hanging",)),
        Check("away", failing(NotKnown("It is away."))),
        Check("mistaken", failing(KeyError("x"))),
    ]
    found = examine(site(), checks, seconds=0.5)
    awake.set()
    assert found == Report(
        findings=[FAULT, WARNING],
        not_known=[
            Unknown("after broken", "Look again when 'broken' is mended."),
            Unknown("hanging", "No answer within 0.5 s."),
            Unknown("after hanging", "hanging: No answer within 0.5 s."),
            Unknown("away", "It is away."),
            Unknown("mistaken", "The check broke: KeyError('x')"),
        ],
        fine=["fine", "after worn"],
    )


def test_every_check_needs_only_checks_that_are_there() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    for number, check in enumerate(CHECKS):
        assert set(check.needs) <= set(names[:number])


@pytest.mark.parametrize(
    ("found", "not_known", "status"),
    [
        ([], [], 0),
        ([WARNING], [], 1),
        ([WARNING], [Unknown("x", "y")], 1),
        ([FAULT, WARNING], [], 2),
        ([], [Unknown("x", "y")], 3),
    ],
)
def test_exit_codes(found: list[Finding], not_known: list[Unknown], status: int) -> None:
    assert exit_code(Report(found, not_known, [])) == status
