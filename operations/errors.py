"""What can go wrong on the machine Headrace is started on, or between it and a gateway.

HeadraceError
├── CannotStart         something that a start needs cannot be had
│   └── Unreachable     no gateway answers
├── TourFailed          an arrival that the tour checks did not come
├── CallFailed          a gateway refused a call
├── NotConfirmed        a command that asks first has no terminal to ask on
├── NotKnown            a check of ``headrace doctor`` could not find out
└── WrongUsage          arguments that do not go together
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from schemas.model.errors import HeadraceError

_SHOWN = 500
"""Characters of an answer that is no problem document."""

_HINTS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "Give another key with --key, HEADRACE_KEY, or the data directory of the gateway "
    "(HEADRACE_DATA_DIR).",
}
"""What to do, where the answer itself does not say it."""


class CannotStart(HeadraceError):
    """Something that a start needs is not to be had; the message says what, why, and what to do about it."""


class Unreachable(CannotStart):
    """No gateway answers at the URL."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"No gateway answers at {url}. Start one with: headrace up; or name another one with HEADRACE_URL."
        )


class TourFailed(HeadraceError):
    """An arrival that the tour checks did not come, or was not what was sent."""


class WrongUsage(HeadraceError):
    """Arguments that do not go together; the message says which, and what to give instead."""


class NotConfirmed(HeadraceError):
    """A command that asks first has no terminal to ask on; the message says how to go without."""


class NotKnown(HeadraceError):
    """A check could not find out; the message says why."""


class CallFailed(HeadraceError):
    """A gateway that was called answered with an error.

    Attributes:
        status: of the answer.
    """

    def __init__(self, call: str, status: int, body: str) -> None:
        super().__init__("\n".join([f"{call} was answered {status}: {_told(body)}", *_hint(status)]))
        self.status = status


def _told(body: str) -> str:
    """What a problem document (RFC 9457) says, the places that it names on lines of their own; else the text."""
    try:
        problem: Any = json.loads(body)
        lines = [problem["detail"]]
        lines += [f"  {place['path']}: {place['message']}" for place in problem.get("errors", [])]
    except (ValueError, KeyError, TypeError):
        return body[:_SHOWN]
    return "\n".join(lines)


def _hint(status: int) -> list[str]:
    return [_HINTS[status]] if status in _HINTS else []
