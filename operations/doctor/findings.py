"""What a check finds: the cause, what it does, and the cure."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How bad a finding is."""

    WARNING = "warning"
    """Everything works, with less safety, or later than it should."""
    FAULT = "fault"
    """Something does not work."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong.

    Attributes:
        cause: a short name that stays the same, such as ``full-disk``.
        severity: how bad it is.
        what: a sentence that names the thing and the figures.
        cure: what to do, with the command to run where there is one.
    """

    cause: str
    severity: Severity
    what: str
    cure: str


def fault(cause: str, what: str, cure: str) -> Finding:
    """A finding of something that does not work."""
    return Finding(cause=cause, severity=Severity.FAULT, what=what, cure=cure)


def warning(cause: str, what: str, cure: str) -> Finding:
    """A finding of something that works with less safety, or late."""
    return Finding(cause=cause, severity=Severity.WARNING, what=what, cure=cure)
