"""JSON numbers by value, whatever their length: equal and ordered as their decimal texts are.

A compared value is in one form only, so that equal values have equal forms:

- ``int``: a whole number below 10 ** ``LONG_DIGITS``;
- ``float``: another number whose shortest text (``repr``) says exactly the same;
- ``Decimal``: every other one.

Two floats of this kind are ordered as their texts are; beside a ``Decimal`` the text of a float counts, not its binary
fraction.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation

Number = int | float | Decimal

MOST_DIGITS = 4_300
"""Digits of a number, those of its exponent among them: Python's readers stop there."""

TOO_LONG = f"holds a number of more than {MOST_DIGITS:,} digits"

LONG_DIGITS = 64
"""Digits from which a whole number is kept as Decimal: Python takes milliseconds for one of thousands as an ``int``."""

LONG = 10**LONG_DIGITS
"""Whole numbers between ``-LONG`` and ``LONG`` are short."""

MOST_EXPONENT = 10**15
"""A larger one counts as this one: a Decimal could not hold it."""

_SHORT = 15
"""Characters of a number that a double holds exactly, so that no closer look is needed."""

_EXACT_BELOW = 2.0**53
"""Below it every whole double is exactly the number that its text says."""

_NUMBER_BYTES = bytes(ord("0") if byte in b"0123456789.eE+-" else byte for byte in range(256))
_LONG_RUN = b"0" * (MOST_DIGITS + 1)
_BEFORE_LONG_RUN = re.compile(rb'(?:[^"\-+.\deE]++|"(?:[^"\\]++|\\.)*+"?|[-+.\deE]{1,4300}+(?![-+.\deE]))*+', re.DOTALL)
"""Everything up to a run of characters of a number that is too long; texts may be millions, so none is a match."""

_RUN = re.compile(rb"[-+.\deE]*+")
_EXPONENT = re.compile(r"[eE]([+-]?)0*(\d+)\Z", re.ASCII)
_WIDE = Context(prec=MOST_DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN)


def read(text: str) -> Number:
    """Return the value of a JSON number's text; no digit is lost.

    Raises:
        ValueError: it is no number.
    """
    if len(text) <= _SHORT and "e" not in text and "E" not in text:
        return int(text) if "." not in text else float(text)
    return of_decimal(decimal(text))


def decimal(text: str) -> Decimal:
    """Return the value of a JSON number's text as Decimal, which is quicker than its one form.

    Raises:
        ValueError: it is no number.
    """
    try:
        return Decimal(text)
    except InvalidOperation:
        return _out_of_reach(text)


def of_decimal(value: Decimal) -> Number:
    """Return the one form of a finite decimal's value."""
    if not value:
        return 0
    if value.adjusted() >= LONG_DIGITS:
        return value
    nearest = float(value)
    if Decimal(repr(nearest)) == value:
        return int(value) if nearest.is_integer() else nearest
    return int(value) if value == value.to_integral_value() else value


def of_long(value: int) -> Decimal:
    """Return the one form of a long whole number; by its text, which is the quickest way."""
    return Decimal(str(value))


def of_float(value: float) -> Number:
    """Return the one form of the number that a finite double's shortest text says."""
    return value if -_EXACT_BELOW < value < _EXACT_BELOW else of_decimal(Decimal(repr(value)))


def exact(value: Number) -> int | Decimal:
    """Return a number so that Python compares it with ints and Decimals by value."""
    return Decimal(repr(value)) if value.__class__ is float else value  # type: ignore[return-value]


def text_of(value: Number) -> str:
    """Return the text that equal numbers share: no point when whole, an exponent only instead of very many digits."""
    if isinstance(value, int):
        return str(value)
    decimal = (Decimal(repr(value)) if isinstance(value, float) else value).normalize(_WIDE)
    return format(decimal or abs(decimal), "f") if abs(decimal.adjusted()) < MOST_DIGITS else str(decimal)


def has_too_many_digits(data: bytes) -> bool:
    """Return whether JSON text holds a number of more than ``MOST_DIGITS`` digits."""
    if len(data) <= MOST_DIGITS or _LONG_RUN not in data.translate(_NUMBER_BYTES):
        return False
    end = 0
    while end < len(data):
        before = _BEFORE_LONG_RUN.match(data, end)
        begin = end if before is None else before.end()
        run = _RUN.match(data, begin)
        end = begin if run is None else run.end()
        if sum(data.count(digit, begin, end) for digit in b"0123456789") > MOST_DIGITS:
            return True
    return False


def _out_of_reach(text: str) -> Decimal:
    """A number whose exponent no Decimal can hold: as far away as one can be, so that it is still ordered right."""
    found = _EXPONENT.search(text)
    if found is None:
        raise ValueError(f"not a number: {text[:50]!r}")
    mantissa = Decimal(text[: found.start()])
    exponent = -MOST_EXPONENT if found[1] == "-" else MOST_EXPONENT
    return mantissa.scaleb(exponent, _WIDE) if mantissa else Decimal(0)
