"""The functions of JMESPath, with exact numbers, and with steps taken for what they go through."""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, Inexact
from typing import TYPE_CHECKING, Any

from jmespath import exceptions
from jmespath.functions import Functions, signature

from schemas.model.errors import WorkExceeded
from schemas.model.numbers import MOST_DIGITS, MOST_EXPONENT
from schemas.projections import exact_json
from schemas.projections.exact_json import Long

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.projections.exact_json import Number
    from schemas.security.budget import Work

MOST_CHARACTERS = 1_048_576
"""Of a text that an expression makes."""

_CHARACTERS_A_STEP = 32
"""Characters that are copied or compared in the time of a step."""

_EXACT = Context(prec=MOST_DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])
_ROUNDED = Context(prec=34, rounding=ROUND_HALF_EVEN, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""For averages, which need not end."""

_TOO_LONG = f"a sum needs more than {MOST_DIGITS:,} digits"
_FAR = MOST_EXPONENT // 10
"""An exponent beyond which a number may be ordered and passed on, but no Decimal has its value."""

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


class Failed(Exception):
    """An expression cannot be evaluated for an event, for a reason that the message says."""


def is_number(value: Any) -> bool:
    """Whether a value is a JSON number."""
    return isinstance(value, int | Long) and not isinstance(value, bool)


def same(left: Any, right: Any, work: Work) -> bool:
    """Whether two values are equal as JSON: numbers by value, and no number is true or false."""
    work.left -= 1
    if work.left < 0:
        work.more()
    if isinstance(left, str) and isinstance(right, str):
        take(work, min(len(left), len(right)))
        return left == right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b, work) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name], work) for name in left)
    if is_number(left) and is_number(right):
        return bool(left == right)
    return type(left) is type(right) and left == right


def take(work: Work, characters: int) -> None:
    """Take the steps for going through a text."""
    work.left -= characters // _CHARACTERS_A_STEP
    if work.left < 0:
        work.more()


def take_items(work: Work, count: int) -> None:
    """Take the steps for going through a list."""
    work.left -= count
    if work.left < 0:
        work.more()


class BoundedFunctions(Functions):  # type: ignore[misc]  # the library has no types
    """Those of the library, for one evaluation.

    Args:
        work: the steps that it may take.
    """

    def __init__(self, work: Work) -> None:
        self._work = work

    def call_function(self, function_name: str, resolved_args: list[Any]) -> Any:
        """Call one; what every function goes through costs steps first."""
        for given in resolved_args:
            if isinstance(given, list | dict):
                take_items(self._work, len(given))
            elif isinstance(given, str):
                take(self._work, len(given))
        return super().call_function(function_name, resolved_args)

    @signature({"types": ["number"]})
    def _func_abs(self, arg: Number) -> Number:
        return exact_json.number(exact_json.number_text(arg).removeprefix("-"))

    @signature({"types": ["array-number"]})
    def _func_sum(self, arg: list[Number]) -> Number:
        return _number(self._sum(arg))

    @signature({"types": ["array-number"]})
    def _func_avg(self, arg: list[Number]) -> Number | None:
        return _number(_ROUNDED.divide(self._sum(arg), Decimal(len(arg)))) if arg else None

    def _sum(self, arg: list[Number]) -> Decimal:
        total = Decimal(0)
        try:
            for each in arg:
                if isinstance(each, Long) and abs(each.adjusted()) > _FAR:
                    raise Failed(_TOO_LONG)
                total = _EXACT.add(total, Decimal(each))
        except Inexact as error:
            raise Failed(_TOO_LONG) from error
        return total

    @signature({"types": ["number"]})
    def _func_ceil(self, arg: Number) -> Number:
        return _whole(arg, ROUND_CEILING)

    @signature({"types": ["number"]})
    def _func_floor(self, arg: Number) -> Number:
        return _whole(arg, ROUND_FLOOR)

    @signature({"types": []})
    def _func_to_number(self, arg: Any) -> Number | None:
        if is_number(arg):
            number: Number = arg
            return number
        if not isinstance(arg, str) or len(arg) > MOST_DIGITS or _NUMBER.fullmatch(arg) is None:
            return None
        return exact_json.number(arg)

    @signature({"types": []})
    def _func_to_string(self, arg: Any) -> str:
        return arg if isinstance(arg, str) else exact_json.dumps(arg, self._work, MOST_CHARACTERS)

    @signature({"types": []})
    def _func_type(self, arg: Any) -> str:
        if is_number(arg):
            return "number"
        found: str = super()._func_type(arg)
        return found

    @signature({"types": ["array", "string"]}, {"types": []})
    def _func_contains(self, subject: list[Any] | str, search: Any) -> bool:
        if isinstance(subject, str):
            return isinstance(search, str) and search in subject
        return any(same(each, search, self._work) for each in subject)

    @signature({"types": ["string"]}, {"types": ["array-string"]})
    def _func_join(self, separator: str, array: list[str]) -> str:
        length = sum(map(len, array)) + len(separator) * max(0, len(array) - 1)
        if length > MOST_CHARACTERS:
            raise WorkExceeded(f"it makes a text of more than {MOST_CHARACTERS:,} characters")
        take(self._work, length)
        return separator.join(array)

    @signature({"types": ["array-string", "array-number"]})
    def _func_sort(self, arg: list[Any]) -> list[Any]:
        self._take_for_order(arg, times=len(arg).bit_length())
        return sorted(arg)

    @signature({"types": ["array-number", "array-string"]})
    def _func_max(self, arg: list[Any]) -> Any:
        self._take_for_order(arg)
        return max(arg, default=None)

    @signature({"types": ["array-number", "array-string"]})
    def _func_min(self, arg: list[Any]) -> Any:
        self._take_for_order(arg)
        return min(arg, default=None)

    def _take_for_order(self, values: list[Any], times: int = 1) -> None:
        take(self._work, sum(len(each) if isinstance(each, str) else _CHARACTERS_A_STEP for each in values) * times)

    def _create_key_func(self, expref: Any, allowed_types: list[str], function_name: str) -> Callable[[Any], Any]:
        find = super()._create_key_func(expref, allowed_types, function_name)
        kinds: set[type] = set()

        def key(item: Any) -> Any:
            found = find(item)
            kinds.add(str if isinstance(found, str) else int)
            if len(kinds) > 1:
                raise exceptions.JMESPathTypeError(function_name, None, "string and number", allowed_types)
            # It is compared with about as many as there are bits in the length of the longest list.
            take(self._work, (len(found) if isinstance(found, str) else _CHARACTERS_A_STEP) * 16)
            return found

        return key


def _number(value: Decimal) -> Number:
    return exact_json.number(str(value))


def _whole(value: Number, rounding: str) -> Number:
    if isinstance(value, int):
        return value
    whole = Decimal(value).to_integral_value(rounding)
    return value if whole == value else _number(whole)
