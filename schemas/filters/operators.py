"""The leaves of the filter language: a list of alternatives for one field, of which one has to fit."""

from __future__ import annotations

import math
import operator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from schemas.model import numbers
from schemas.model.errors import InvalidFilter, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from schemas.security.budget import Work

    ScalarTest = Callable[[Any], bool]
    Test = Callable[[Any, Work], bool]


class Weighed(NamedTuple):
    """A test, and how many steps it takes for one short value that is no array."""

    test: Test
    weight: int


MISSING: Final = object()
"""Stands for a field that the event does not have."""

_LONG: Final = numbers.LONG
_ARRAY: Final = 3
"""Steps that an array in an array takes beside those for its elements."""
_TRUE: Final = object()
_FALSE: Final = object()
_NO_SCALAR: Final = object()

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


def scalar_key(value: Any) -> Any:
    """What two scalars share exactly when the language holds them equal: 1 and 1.0 do, 1 and true do not.

    Objects and absent fields have a key that no literal has.
    """
    kind = value.__class__
    if kind is str or value is None:
        return value
    if kind is int:
        return value if -_LONG < value < _LONG else (numbers.of_long(value),)
    if kind is bool:
        return _TRUE if value else _FALSE
    if kind is float:
        value = numbers.of_float(value)
    elif kind is Decimal:
        value = numbers.of_decimal(value)
    else:
        return _NO_SCALAR
    # A Decimal that a double cannot say must not equal one by its binary fraction.
    return (value,) if value.__class__ is Decimal else value


def literal_keys(alternatives: list[Any]) -> frozenset[Any] | None:
    """The keys of the values that fit, or None when an alternative is more than a literal or ``in``."""
    keys: set[Any] = set()
    for alternative in alternatives:
        if not isinstance(alternative, dict):
            keys.add(scalar_key(alternative))
        elif alternative.keys() == {"in"}:
            keys.update(map(scalar_key, alternative["in"]))
        else:
            return None
    return frozenset(keys)


def elements(array: list[Any]) -> Iterator[Any]:
    """What an array holds that is no array itself, however deep; ``MISSING`` for every empty one.

    Without recursion: data may be nested as deep as the JSON decoder goes, which is deeper than calls of ours may go.
    """
    unfinished = [iter(array or (MISSING,))]
    while unfinished:
        for element in unfinished[-1]:
            if element.__class__ is not list:
                yield element
            elif element:
                unfinished.append(iter(element))
                break
            else:
                yield MISSING
        else:
            unfinished.pop()


def alternatives_test(alternatives: list[Any], path: str) -> Weighed:
    """Compile the alternatives for one field into a test of its value (a scalar, array, object, or ``MISSING``).

    The test takes steps for each element of an array; for the rest, ``weight`` is to be counted.

    Raises:
        InvalidFilter: one of them is not in the language.
    """
    if not alternatives:
        refuse(path, "must hold at least one alternative")
    literals: set[Any] = set()
    tests: list[ScalarTest] = []
    existence: bool | None = None
    for index, alternative in enumerate(alternatives):
        at = f"{path}[{index}]"
        if not isinstance(alternative, dict):
            literals.add(_literal(alternative, at))
            continue
        if len(alternative) != 1:
            refuse(at, "must hold exactly one operator")
        ((name, operand),) = alternative.items()
        at = f"{at}.{name}"
        if name == "in":
            literals.update(_literals(operand, at))
        elif name == "exists":
            existence = _existence(operand, at, existence)
        elif name in _OPERATORS:
            tests.append(_OPERATORS[name](operand, at))
        else:
            refuse(at, f"is no operator; there are {', '.join([*_OPERATORS, 'in', 'exists'])}")
    if literals:
        keys = frozenset(literals)
        tests.insert(0, lambda value: scalar_key(value) in keys)
    return _field_test(tests, existence)


def refuse(path: str, message: str) -> NoReturn:
    """Raise InvalidFilter for the place at ``path``."""
    raise InvalidFilter(f"{path} {message}", [Problem(path=path, message=message)])


def _field_test(tests: list[ScalarTest], existence: bool | None) -> Weighed:  # noqa: FBT001 -- an operand, not a switch
    """One of the tests fits the value or an element of it; ``exists`` looks at the field itself."""
    scalar_test = tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)
    weight = max(1, len(tests))

    def one_fits(value: Any, work: Work) -> bool:
        kind = value.__class__
        if kind is list:
            return _one_element_fits(value or (MISSING,), scalar_test, weight, work)
        if kind is Decimal or (kind is int and not -_LONG < value < _LONG):
            work.left -= weight * (_effort(value) - 1)
            if work.left < 0:
                work.more()
        return scalar_test(value)

    if existence is None:
        return Weighed(one_fits, weight)
    return Weighed(lambda value, work: (value is not MISSING) is existence or one_fits(value, work), weight)


def _one_element_fits(array: Iterable[Any], test: ScalarTest, weight: int, work: Work) -> bool:
    # Nearly all arrays are flat: a generator of elements would take as long as their tests.
    left = work.left
    for element in array:
        kind = element.__class__
        if kind is list and element:
            work.left = left - _ARRAY
            if _one_element_fits(elements(element), test, weight, work):
                return True
            left = work.left
            continue
        left -= weight if kind is str else weight * _effort(element)
        if left < 0:
            work.left = left
            work.more()
            left = work.left
        if test(element):
            work.left = left
            return True
    work.left = left
    return False


def _effort(value: Any) -> int:
    """How many steps one test of a value takes: numbers of many digits take longer than others."""
    kind = value.__class__
    if kind is Decimal:
        size: int = value.__sizeof__()
        return 20 + size // 8
    if kind is float:
        return 10
    return 1 if kind is not int or -_LONG < value < _LONG else 1 + value.bit_length() // 16


def _existence(operand: Any, path: str, before: bool | None) -> bool:  # noqa: FBT001 -- an operand, not a switch
    if not isinstance(operand, bool):
        refuse(path, "must be true or false")
    if before is not None and before is not operand:
        refuse(path, "contradicts another alternative: together they fit every event")
    return operand


def _literal(value: Any, path: str) -> Any:
    if isinstance(value, list | dict):
        refuse(path, "must be text, a number, true, false or null")
    return scalar_key(value)


def _literals(operand: Any, path: str) -> frozenset[Any]:
    if not isinstance(operand, list) or not operand:
        refuse(path, "must be a list of at least one literal")
    return frozenset(_literal(value, f"{path}[{index}]") for index, value in enumerate(operand))


def _prefix(operand: Any, path: str) -> ScalarTest:
    text = _text(operand, path)
    return lambda value: value.__class__ is str and value.startswith(text)


def _suffix(operand: Any, path: str) -> ScalarTest:
    text = _text(operand, path)
    return lambda value: value.__class__ is str and value.endswith(text)


def _text(operand: Any, path: str) -> str:
    if not isinstance(operand, str) or not operand:
        refuse(path, "must be text of at least one character")
    return operand


def _anything_but(operand: Any, path: str) -> ScalarTest:
    if isinstance(operand, dict):
        if operand.keys() not in ({"prefix"}, {"suffix"}):
            refuse(path, "takes a literal, a list of literals, a prefix or a suffix")
        ((name, text),) = operand.items()
        fits = _OPERATORS[name](text, f"{path}.{name}")
        return lambda value: value is not MISSING and value.__class__ is not dict and not fits(value)
    keys = _literals(operand, path) if isinstance(operand, list) else frozenset({_literal(operand, path)})
    refused = keys | {_NO_SCALAR}
    return lambda value: scalar_key(value) not in refused


def _numeric(operand: Any, path: str) -> ScalarTest:
    if not isinstance(operand, list) or not operand or len(operand) % 2:
        refuse(path, 'must be a list of comparisons and bounds, such as [">=", 1, "<", 5]')
    bounds = []
    for index in range(0, len(operand), 2):
        symbol, bound = operand[index], operand[index + 1]
        if not isinstance(symbol, str) or symbol not in _COMPARISONS:
            refuse(f"{path}[{index}]", f"is no comparison; there are {', '.join(_COMPARISONS)}")
        if isinstance(bound, bool) or not isinstance(bound, int | float | Decimal):
            refuse(f"{path}[{index + 1}]", "must be a number")
        bounds.append(_bound(symbol, bound))
    if len(bounds) == 1:
        return bounds[0]
    return lambda value: all(test(value) for test in bounds)


def _bound(symbol: str, limit: int | float | Decimal) -> ScalarTest:  # noqa: PYI041 -- they differ here
    """A comparison of numbers by the decimal values that their texts say.

    ``limit`` is in the one form of its value (``schemas.model.numbers``). Whole numbers are compared with a whole one:
    Python converts an ``int`` to compare it with a Decimal, which takes milliseconds for a long one.
    """
    compare = _COMPARISONS[symbol]
    exact = numbers.exact(limit)
    whole = exact if isinstance(exact, int) else _whole(symbol, exact)
    by_text = limit.__class__ is Decimal

    def test(value: Any) -> bool:
        kind = value.__class__
        if kind is int:
            return compare(value, whole) if -_LONG < value < _LONG else compare(numbers.of_long(value), exact)
        if kind is float:
            # Where no double says the limit, floats are compared by their texts.
            return compare(numbers.exact(value), exact) if by_text else compare(numbers.of_float(value), limit)
        return kind is Decimal and compare(value, exact)

    return test


def _whole(symbol: str, limit: Decimal) -> int | float:
    """A bound that whole numbers below the long ones fulfil exactly when they fulfil ``limit``."""
    if limit.adjusted() >= numbers.LONG_DIGITS:
        return math.copysign(math.inf, limit)
    if symbol == "=":
        return int(limit) if limit == limit.to_integral_value() else math.nan
    return int(limit.to_integral_value(ROUND_CEILING if symbol in ("<", ">=") else ROUND_FLOOR))


_OPERATORS: dict[str, Callable[[Any, str], ScalarTest]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "anything-but": _anything_but,
    "numeric": _numeric,
}
