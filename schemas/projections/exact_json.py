"""JSON for projections: numbers keep their text, and writing ends at a limit.

A number is an ``int`` where that prints back as it was sent, and otherwise a ``Long``.
"""

from __future__ import annotations

import json
from decimal import Decimal
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Self

from schemas.model import numbers
from schemas.model.errors import WorkExceeded

if TYPE_CHECKING:
    from schemas.security.budget import Work

_SHORT = 18
"""Characters of a whole number that is kept as an ``int``."""


class Long(Decimal):
    """A JSON number with its text: it compares by value, and is written as it was sent."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Read one.

        Raises:
            ValueError: it is no number.
        """
        number = super().__new__(cls, numbers.decimal(text))
        number.text = text
        return number


# The library tells types by the names of their classes, and has ``long`` for a number since Python 2.
Long.__name__ = "long"

Number = int | Long


def number(text: str) -> Number:
    """The value of a JSON number's text.

    Raises:
        ValueError: it is no number.
    """
    if len(text) <= _SHORT and text != "-0" and text.lstrip("-").isdecimal():
        return int(text)
    return Long(text)


def loads(text: str | bytes) -> Any:
    """Read JSON.

    Raises:
        ValueError: it is none, or has a constant that JSON does not have.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_int=number, parse_float=number, parse_constant=_refuse)


def dumps(value: Any, work: Work, most: int) -> str:
    """Write JSON, in the order of the members; takes a step of ``work`` for each value.

    Raises:
        WorkExceeded: it has more than ``most`` characters, or takes too many steps.
        RecursionError: it is nested too deeply.
    """
    return "".join(_Writer(work, most).write(value))


class _Writer:
    """The pieces of one text. A value that is referred to twice is written twice, and counted twice."""

    def __init__(self, work: Work, most: int) -> None:
        self._work = work
        self._left = self._most = most
        self._pieces: list[str] = []

    def write(self, value: Any) -> list[str]:
        self._value(value)
        return self._pieces

    def _value(self, value: Any) -> None:
        work = self._work
        work.left -= 1
        if work.left < 0:
            work.more()
        if isinstance(value, str):
            self._add(quoted(value))
        elif isinstance(value, dict):
            self._object(value)
        elif isinstance(value, list):
            self._array(value)
        elif value is None:
            self._add("null")
        elif isinstance(value, bool):
            self._add("true" if value else "false")
        else:
            self._add(number_text(value))

    def _object(self, members: dict[str, Any]) -> None:
        separator = "{"
        for name, value in members.items():
            self._add(f"{separator}{quoted(name)}:")
            self._value(value)
            separator = ","
        self._add("}" if members else "{}")

    def _array(self, items: list[Any]) -> None:
        separator = "["
        for item in items:
            self._add(separator)
            self._value(item)
            separator = ","
        self._add("]" if items else "[]")

    def _add(self, piece: str) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise WorkExceeded(f"it gives more than {self._most:,} characters")
        self._pieces.append(piece)


def quoted(text: str) -> str:
    """A text as JSON; half of a surrogate pair, which UTF-8 cannot say, stays escaped."""
    escaped: str = encode_basestring(text) if _is_sendable(text) else encode_basestring_ascii(text)
    return escaped


def number_text(value: Any) -> str:
    """The text of a number: as sent, or as computed."""
    if isinstance(value, Long):
        return value.text
    return str(value)


def _is_sendable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
