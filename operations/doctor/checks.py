"""The table of checks, and how it is worked through: side by side, each with a deadline."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from operations.doctor import endpoints, gateway, groups, kafka, ledger, machine, secret_keys, topic_copies, type_topics
from operations.doctor.findings import Finding, Severity
from operations.errors import NotKnown
from schemas.model.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from operations.doctor.site import Site

SECONDS = 10.0
"""Deadline of a check."""


class Check(NamedTuple):
    """One thing to look at.

    Attributes:
        name: for people.
        look: yields what it finds; raises ``NotKnown`` when it cannot find out.
        needs: checks that must have found nothing before.
    """

    name: str
    look: Callable[[Site], Iterable[Finding]]
    needs: tuple[str, ...] = ()


CHECKS = (
    Check("java", machine.java),
    Check("data directory", machine.data_directory),
    Check("disks", machine.disks),
    Check("ledger", ledger.ledger),
    Check("kafka", kafka.reachable),
    Check("gateway", gateway.answers),
    Check("clocks", kafka.clocks, ("kafka",)),
    Check("replicas", topic_copies.replicas, ("kafka",)),
    Check("copies", topic_copies.copies, ("kafka",)),
    Check("topics of event types", type_topics.type_topics, ("kafka",)),
    Check("planes", groups.planes, ("kafka",)),
    Check("group sessions", groups.sessions, ("kafka",)),
    Check("secret keys", secret_keys.secret_keys, ("kafka",)),
    Check("endpoints", endpoints.endpoints, ("kafka",)),
    Check("api key", gateway.credential, ("gateway",)),
    Check("topics and groups", gateway.snapshot, ("gateway", "api key")),
)


class Unknown(msgspec.Struct, frozen=True):
    """A check that could not find out, and why."""

    check: str
    why: str


class Report(msgspec.Struct, frozen=True):
    """What an examination came to.

    Attributes:
        findings: faults first.
        not_known: checks that could not find out.
        fine: checks that found nothing.
    """

    findings: list[Finding]
    not_known: list[Unknown]
    fine: list[str]


Outcome = list[Finding] | Unknown


def examine(site: Site, checks: Sequence[Check] = CHECKS, *, seconds: float = SECONDS) -> Report:
    """Do all checks; each that can be done now beside the others."""
    done: dict[str, Outcome] = {}
    while left := [check for check in checks if check.name not in done]:
        now = [check for check in left if all(need in done for need in check.needs)]
        blocked = {check.name: why for check in now if (why := _blocked(check, done))}
        done |= blocked
        done |= _looked([check for check in now if check.name not in blocked], site, seconds)
    results = [(check.name, done[check.name]) for check in checks]
    found = [each for _, outcome in results if not isinstance(outcome, Unknown) for each in outcome]
    return Report(
        findings=sorted(found, key=lambda each: each.severity is not Severity.FAULT),
        not_known=[outcome for _, outcome in results if isinstance(outcome, Unknown)],
        fine=[name for name, outcome in results if outcome == []],
    )


def _blocked(check: Check, done: dict[str, Outcome]) -> Unknown | None:
    for need in check.needs:
        outcome = done[need]
        if isinstance(outcome, Unknown):
            return Unknown(check.name, f"{need}: {outcome.why}")
        if any(each.severity is Severity.FAULT for each in outcome):
            return Unknown(check.name, f"Look again when {need!r} is mended.")
    return None


def _looked(checks: Sequence[Check], site: Site, seconds: float) -> dict[str, Outcome]:
    looks = {check.name: _Look(check, site) for check in checks}
    until = time.monotonic() + seconds
    for look in looks.values():
        look.start()
    for look in looks.values():
        look.join(max(until - time.monotonic(), 0))
    return {name: look.outcome or [] if look.has_ended else _late(name, seconds) for name, look in looks.items()}


def _late(name: str, seconds: float) -> Unknown:
    return Unknown(name, f"No answer within {seconds:g} s.")


class _Look(threading.Thread):
    """One check on a thread that nobody waits for at the end."""

    def __init__(self, check: Check, site: Site) -> None:
        super().__init__(name=f"doctor-{check.name}", daemon=True)
        self._check = check
        self._site = site
        self.outcome: Outcome | None = None

    @property
    def has_ended(self) -> bool:
        return self.outcome is not None

    def run(self) -> None:
        try:
            self.outcome = list(self._check.look(self._site))
        except (NotKnown, HeadraceError) as error:
            self.outcome = Unknown(self._check.name, str(error))
        except Exception as error:  # noqa: BLE001  # one check that breaks does not take the others along
            self.outcome = Unknown(self._check.name, f"The check broke: {error!r}")
