"""How a receiver answers: a script of steps, one a request, of which the last stays.

A script is a list with commas, such as ``500x3,hang:5,200``:

=================  ==================================================================
``204``            the status, at once
``429:30``         the status, with ``Retry-After: 30``
``gone``           410
``redirect:URL``   302 to the URL; to the same path without one
``hang:5``         200 after 5 seconds; ``hang`` alone: never
``drip:0.5``       200, and a byte of the body every half second until the sender leaves
``reset``          no answer: the connection is reset
``…x3``            any of these for three requests
=================  ==================================================================
"""

from __future__ import annotations

import dataclasses
import math
import re
from http import HTTPStatus

from operations.errors import WrongUsage

FOREVER = math.inf

_DRIP_SECONDS = 1.0
_STEP = re.compile(r"(?P<name>[a-z]+|\d{3})(?::(?P<operand>.+?))?(?:x(?P<times>[1-9]\d{0,5}))?", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}(\.\d+)?", re.ASCII)
_LEAST, _MOST = 200, 599


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One answer.

    Attributes:
        name: as the script has it.
        status: of the answer; None resets the connection.
        wait: seconds before it; ``FOREVER`` never answers.
        headers: of the answer.
        drip: seconds between the bytes of an endless body; None for a body that is whole.
    """

    name: str
    status: int | None
    wait: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()
    drip: float | None = None


class Script:
    """The answers to requests in the order in which they come.

    Args:
        text: the script.

    Raises:
        WrongUsage: it is none; the message says which step.
    """

    def __init__(self, text: str) -> None:
        self._steps = [step for part in text.split(",") for step in _repeated(part.strip())]
        self._taken = 0

    def next(self) -> Step:
        """The answer to the next request."""
        step = self._steps[min(self._taken, len(self._steps) - 1)]
        self._taken += 1
        return step


def _repeated(text: str) -> list[Step]:
    found = _STEP.fullmatch(text)
    step = found and _step(found["name"], found["operand"], text)
    if not found or not step:
        raise WrongUsage(
            f"{text!r} is no step of a script. There are: a status such as 503, or with Retry-After 503:30; "
            "gone, redirect:URL, hang:SECONDS, drip:SECONDS, reset; and 500x3 for three times 500."
        )
    return [step] * int(found["times"] or 1)


def _step(name: str, operand: str | None, text: str) -> Step | None:
    if name == "redirect":
        return Step(name=text, status=HTTPStatus.FOUND, headers=(("Location", operand or "?redirected"),))
    if operand is not None and not _SECONDS.fullmatch(operand):
        return None
    seconds = None if operand is None else float(operand)
    if name.isdigit() and _LEAST <= int(name) <= _MOST:
        headers = () if seconds is None else (("Retry-After", f"{math.ceil(seconds)}"),)
        return Step(name=text, status=int(name), headers=headers)
    steps = {
        "hang": Step(name=text, status=HTTPStatus.OK, wait=FOREVER if seconds is None else seconds),
        "drip": Step(name=text, status=HTTPStatus.OK, drip=seconds or _DRIP_SECONDS),
    }
    if seconds is None:
        steps |= {"gone": Step(name=text, status=HTTPStatus.GONE), "reset": Step(name=text, status=None)}
    return steps.get(name)
