"""Attribute types: the Exchange document's four, and our own ``integer``, ``decimal(p,s)`` and ``json``."""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from schemas.model import numbers, timestamps
from schemas.model.errors import Conflict, InvalidRequest, Problem
from schemas.model.event_type import Attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Value = str | float | int | bool | Decimal

LONGEST_NAME = 255
"""Characters in an attribute's name."""
MOST_DIGITS = 38
"""Precision of a decimal: what analytical stores keep in 128 bits."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

_SHOWN = 100
"""Characters of a value that an error shows."""

_DECIMAL = re.compile(r"decimal\s*\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)", re.ASCII | re.IGNORECASE)
_NUMBER_TEXT = re.compile(r"[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?", re.ASCII)
"""Possessive: a long text of digits that is no number in the end would be tried in all of its parts."""

_INTEGER_TEXT = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_ESCAPED_IN_JSON = re.compile(r'["\\\x00-\x1f]')
"""What JSON can only spell with an escape: no decoder can be made for a member with such a name."""


class AttributeKind(StrEnum):
    """The kinds of attribute types, in their canonical spelling."""

    STRING = "String"
    NUMBER = "Number"
    BOOLEAN = "Boolean"
    TIME = "Time"
    INTEGER = "integer"
    DECIMAL = "decimal"
    JSON = "json"


_BASIC = (AttributeKind.STRING, AttributeKind.NUMBER, AttributeKind.BOOLEAN, AttributeKind.TIME)

BASIC_KINDS = {kind: kind for kind in _BASIC} | {
    AttributeKind.INTEGER: AttributeKind.NUMBER,
    AttributeKind.DECIMAL: AttributeKind.NUMBER,
    AttributeKind.JSON: AttributeKind.STRING,
}
"""What our own extensions are to a family that knows only the Exchange document's four."""


class AttributeType(msgspec.Struct, frozen=True):
    """A kind and, for a decimal, its digits in all (``precision``) and after the point (``scale``)."""

    kind: AttributeKind
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        """The canonical spelling, which ``parse_type`` reads back."""
        if self.kind is AttributeKind.DECIMAL:
            return f"decimal({self.precision},{self.scale})"
        return self.kind.value


_PLAIN = {kind.value.lower(): AttributeType(kind) for kind in AttributeKind if kind is not AttributeKind.DECIMAL}


def parse_type(text: str) -> AttributeType:
    """Read an attribute type, whatever its case.

    Raises:
        InvalidRequest: there is no such type, or a decimal's digits are out of range.
    """
    plain = _PLAIN.get(text.strip().lower())
    if plain is not None:
        return plain
    found = _DECIMAL.fullmatch(text.strip())
    if found is None:
        raise InvalidRequest(
            f"{_shown(text)} is not an attribute type: use String, Number, Boolean, Time, integer, decimal(p,s) or json"
        )
    precision, scale = int(found[1]), int(found[2])
    if not (1 <= precision <= MOST_DIGITS and scale <= precision):
        raise InvalidRequest(f"{text!r}: a decimal has 1 to {MOST_DIGITS} digits, at most all of them after the point")
    return AttributeType(AttributeKind.DECIMAL, precision, scale)


def canonical(attributes: Sequence[Attribute], path: str = "$.attributes") -> tuple[Attribute, ...]:
    """A registration's attributes with their types in canonical spelling.

    Raises:
        InvalidRequest: an empty, overlong or repeated name, one that JSON can only spell with an escape, or an unknown
            type; one problem each, under ``path``.
    """
    problems: list[Problem] = []
    known: dict[str, Attribute] = {}
    for index, attribute in enumerate(attributes):
        here = f"{path}[{index}]"
        if not 1 <= len(attribute.name) <= LONGEST_NAME:
            problems.append(Problem(path=f"{here}.name", message=f"a name has 1 to {LONGEST_NAME} characters"))
        elif _ESCAPED_IN_JSON.search(attribute.name):
            message = 'a name has no quotation mark ("), backslash or control character'
            problems.append(Problem(path=f"{here}.name", message=message))
        elif attribute.name in known:
            problems.append(Problem(path=f"{here}.name", message=f"{attribute.name!r} is listed twice"))
        try:
            text = str(parse_type(attribute.type))
        except InvalidRequest as error:
            problems.append(Problem(path=f"{here}.type", message=str(error)))
        else:
            known[attribute.name] = Attribute(name=attribute.name, type=text, required=attribute.required)
    if problems:
        raise InvalidRequest("The attributes cannot be registered.", problems)
    return tuple(known.values())


def union(lists: Iterable[Sequence[Attribute]]) -> tuple[Attribute, ...]:
    """The attributes of an event type: all of its registrations', in order of first appearance.

    One is required only where every list has it and requires it.

    Raises:
        Conflict: one name has two types.
    """
    merged: dict[str, Attribute] = {}
    registrations = list(lists)
    for attribute in (each for attributes in registrations for each in attributes):
        known = merged.setdefault(attribute.name, attribute)
        if parse_type(known.type) != parse_type(attribute.type):
            raise Conflict(
                f"attribute {attribute.name!r} is {known.type} in one registration and {attribute.type} in another"
            )
    always = [{each.name for each in attributes if each.required} for attributes in registrations]
    return tuple(
        Attribute(name=each.name, type=str(parse_type(each.type)), required=all(each.name in names for names in always))
        for each in merged.values()
    )


def from_text(text: str, of: AttributeType) -> Value:
    """Read a value that came as text, as Exchange sends all of them; a Time becomes microseconds since the epoch.

    Raises:
        ValueError: the text is not one of that type.
    """
    if len(text) > numbers.MOST_DIGITS and of.kind in _WITH_NUMBERS and numbers.has_too_many_digits(text.encode()):
        raise ValueError(numbers.TOO_LONG)
    if of.kind is AttributeKind.DECIMAL:
        return to_decimal(text, of)
    return _READERS[of.kind](text)


def to_decimal(text: str, of: AttributeType) -> Decimal:
    """The decimal that a number's text says, with exactly ``of.scale`` places.

    Raises:
        ValueError: it is no number, or has more digits than ``of`` keeps.
    """
    if _NUMBER_TEXT.fullmatch(text) is None:
        raise ValueError(f"{_shown(text)} is not a number")
    exact = Context(prec=of.precision, traps=[Inexact, InvalidOperation])
    try:
        return Decimal(text).quantize(Decimal((0, (1,), -of.scale)), context=exact)
    except (Inexact, InvalidOperation):
        raise ValueError(f"{_shown(text)} does not fit {of}") from None


def member(path: str, name: str) -> str:
    """The JSON path (RFC 9535) of member ``name`` under ``path``: ``$.data.total``, ``$.data['order total']``."""
    if _MEMBER.fullmatch(name):
        return f"{path}.{name}"
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"{path}['{escaped}']"


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in {"true", "false"}:
        raise ValueError(f"{text!r} is neither true nor false")
    return lowered == "true"


def _number(text: str) -> float:
    value = float(text) if _NUMBER_TEXT.fullmatch(text) else None
    if value is None:
        raise ValueError(f"{_shown(text)} is not a number")
    if abs(value) == float("inf"):
        raise ValueError(f"{_shown(text)} is too large a number")
    return value


def _integer(text: str) -> int:
    """A number without a fraction, however it is spelled: ``1.0`` and ``1e2`` are integers (JSON Schema, draft 6)."""
    value: numbers.Number | None = None
    if _INTEGER_TEXT.fullmatch(text):
        value = int(text)
    elif _NUMBER_TEXT.fullmatch(text):
        value = numbers.read(text)
    if not isinstance(value, int | float) or value != int(value) or not INT64_MIN <= value <= INT64_MAX:
        raise ValueError(f"{_shown(text)} is not an integer of 64 bits")
    return int(value)


def _shown(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}…"


def _json(text: str) -> str:
    msgspec.json.decode(text, type=msgspec.Raw)
    return text


_WITH_NUMBERS = frozenset((AttributeKind.NUMBER, AttributeKind.INTEGER, AttributeKind.DECIMAL, AttributeKind.JSON))

_READERS: dict[AttributeKind, Callable[[str], Value]] = {
    AttributeKind.STRING: str,
    AttributeKind.NUMBER: _number,
    AttributeKind.BOOLEAN: _boolean,
    AttributeKind.TIME: timestamps.parse,
    AttributeKind.INTEGER: _integer,
    AttributeKind.JSON: _json,
}
