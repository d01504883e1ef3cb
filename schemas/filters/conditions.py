"""The filter language: a condition over an event, written as JSON in the style of AWS EventBridge patterns.

A pattern is an object whose members must all hold. A member is a field of the event with either a nested pattern or a
list of alternatives; or ``$and`` or ``$or`` with a list of patterns; or ``$not`` with a pattern::

    {"data": {"total": [{"numeric": [">", 100]}], "status": ["NEW", "PAID"]},
     "$or": [{"source": [{"prefix": "shop-"}]}, {"channel": [{"exists": false}]}]}

Fields of the event: ``data`` (to any depth), ``identifiers`` (by name), ``id``, ``source``, ``type``, ``subject``,
``dataschema`` and ``datacontenttype`` as the producer sent them, ``extensions`` (by name), ``clientid`` (the client
that published), ``channel``, ``time`` (text in UTC, as in ``2021-03-04T16:36:54.591Z``; an instant in another spelling
of RFC 3339 is turned into it). That is version 2. In version 1 ``source`` is the client that published, ``type`` the
code of the event type, and there is no ``id``, ``dataschema``, ``datacontenttype``, ``extensions`` or ``clientid``.
Alternatives: a literal,
``{"in": [literals]}``, ``{"prefix": text}``, ``{"suffix": text}``, ``{"numeric": [">=", 1, "<", 5]}``,
``{"anything-but": literal | [literals] | {"prefix": text} | {"suffix": text}}``, ``{"exists": true | false}``.

Where the event holds an array, one element that fits is enough. Numbers of any length compare by value, and never
equal booleans or text. A field that is absent fits nothing but ``{"exists": false}``.
"""

from __future__ import annotations

import contextlib
import functools
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.avro.attributes import member as member_path
from schemas.filters.fields import FIELDS_IN_VALUE, LATEST_VERSION, OLDER_NAMES, VERSIONS
from schemas.filters.operators import MISSING, Weighed, alternatives_test, elements, literal_keys, refuse
from schemas.model import numbers, timestamps
from schemas.security.budget import CONDITION_STEPS, CONDITION_TESTS, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from schemas.filters.fields import FilterView, Read
    from schemas.model.endpoint import EventFilter

MAX_CONDITION_LENGTH = 65_536
"""Characters of JSON text."""

MAX_DEPTH = 64
"""Levels of nesting in a condition."""


_FEWER_TESTS = (
    "Every operator is a test, and so is every nested object; all literals of a list together are one. Use literals or "
    "several filters."
)


class EqualityTerm(NamedTuple):
    """A necessary condition: a value at ``path`` (or an element of it) has one of the ``scalar_key`` s in ``keys``."""

    path: tuple[str, ...]
    keys: frozenset[Any]


class Condition:
    """A compiled condition: immutable, and usable from any thread.

    Attributes:
        attributes: names of the members of ``data`` that it looks at, when it looks at nothing else that only the
            record's value holds; otherwise None.
        weight: steps that it takes for an event without arrays.
    """

    __slots__ = ("_terms", "_test", "attributes", "weight")

    def __init__(self, pattern: Any, version: int) -> None:
        self._test, self.weight = _pattern_test(pattern, "$", 1, functools.partial(_event_member, VERSIONS[version]))
        self._terms = tuple(_versioned(each, version) for each in _equality_terms(pattern, ()))
        self.attributes = _attributes(pattern)

    def matches(self, event: FilterView, work: Work | None = None) -> bool:
        """Whether the event satisfies it.

        Args:
            event: to look at.
            work: the steps that it may take besides ``weight``; by default those of one condition and one event.

        Raises:
            WorkExceeded: it would take more.
        """
        return self._test(event, Work(CONDITION_STEPS) if work is None else work)

    def equality_terms(self) -> tuple[EqualityTerm, ...]:
        """Terms that every event it matches satisfies, all of them: what an index can go by."""
        return self._terms


def compile_condition(text: str, version: int = LATEST_VERSION) -> Condition:
    """Compile a new condition of a version of the language from its JSON text.

    Raises:
        InvalidFilter: it is not in the language, or too large; the problem's path is the JSON path of what is wrong.
    """
    condition = Condition(_parse(text), version)
    if condition.weight > CONDITION_TESTS:
        refuse("$", f"holds {condition.weight:,} tests; at most {CONDITION_TESTS:,} are allowed. {_FEWER_TESTS}")
    return condition


def compile_filter(event_filter: EventFilter) -> Condition | None:
    """Everything but the type selection of an event filter as one condition, or None if there is nothing more to it.

    Raises:
        InvalidFilter: its condition is not in the language, or there is no such version of it.
    """
    if event_filter.version not in VERSIONS:
        refuse("$", f"is of version {event_filter.version} of the filter language; there are 1 and {LATEST_VERSION}")
    pattern: dict[str, Any] = {}
    if event_filter.sources:
        pattern["source"] = list(event_filter.sources)
    if event_filter.channels:
        pattern["channel"] = list(event_filter.channels)
    identifiers = {name: list(values) for name, values in event_filter.identifiers.items() if values}
    if identifiers:
        pattern["identifiers"] = identifiers
    if event_filter.condition is not None:
        condition = _parse(event_filter.condition)
        if not pattern:
            return Condition(condition, event_filter.version)
        pattern["$and"] = [condition]
    return Condition(pattern, event_filter.version) if pattern else None


class _RepeatedName(dict[str, Any]):
    """An object of the JSON text that has one name twice; refused where its path is known."""

    name: str


def _parse(text: str) -> Any:
    if len(text) > MAX_CONDITION_LENGTH:
        refuse("$", f"is longer than {MAX_CONDITION_LENGTH} characters")
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_float=_number, parse_int=_number, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        refuse("$", f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}")
    except RecursionError:
        refuse("$", f"is nested deeper than {MAX_DEPTH} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    repeated = _RepeatedName(members)
    seen: set[str] = set()
    repeated.name = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return repeated


def _number(text: str) -> numbers.Number:
    if len(text) > numbers.MOST_DIGITS and sum(map(str.isdigit, text)) > numbers.MOST_DIGITS:
        refuse("$", numbers.TOO_LONG)
    value = numbers.read(text)
    if isinstance(value, Decimal) and abs(value.adjusted()) >= numbers.MOST_EXPONENT:
        refuse("$", f"holds a number that is too large: {text[:50]}")
    return value


def _refuse_constant(name: str) -> None:
    refuse("$", f"holds {name}, which is not JSON")


def _pattern_test(pattern: Any, path: str, depth: int, member: Callable[[str, Any, str, int], Weighed]) -> Weighed:
    """All members of a pattern; ``member`` compiles one field of it."""
    _check_object(pattern, path, depth)
    tests: list[Weighed] = []
    for name, inner in pattern.items():
        at = _child(path, name)
        if name == "$not":
            tests.append(_negation(_pattern_test(inner, at, depth + 1, member)))
        elif name in ("$and", "$or"):
            if not isinstance(inner, list) or not inner:
                refuse(at, "must be a list of at least one pattern")
            parts = [_pattern_test(part, f"{at}[{index}]", depth + 1, member) for index, part in enumerate(inner)]
            tests.append(_conjunction(parts) if name == "$and" else _disjunction(parts))
        else:
            tests.append(member(name, inner, at, depth + 1))
    return _conjunction(tests)


def _check_object(pattern: Any, path: str, depth: int) -> None:
    if not isinstance(pattern, dict):
        refuse(path, "must be an object")
    if isinstance(pattern, _RepeatedName):
        refuse(path, f"has the name {pattern.name!r} twice")
    if not pattern:
        refuse(path, "must not be empty")
    if depth > MAX_DEPTH:
        refuse(path, f"is nested deeper than {MAX_DEPTH} levels")


def _event_member(fields: Mapping[str, Read], name: str, inner: Any, path: str, depth: int) -> Weighed:
    read = fields.get(name)
    if read is None:
        refuse(path, f"is no field of an event; there are {', '.join(fields)}, $and, $or and $not")
    if name in ("identifiers", "extensions") and not isinstance(inner, dict):
        refuse(path, f"must be an object of {name[:-1]} names")
    if name not in ("identifiers", "extensions", "data") and not isinstance(inner, list):
        refuse(path, "must be a list of alternatives")
    if name == "time":
        inner = list(map(_in_utc, inner))
    test, weight = _value_test(inner, path, depth)
    return Weighed(lambda event, work: test(read(event), work), weight)


def _in_utc(alternative: Any) -> Any:
    """An alternative for ``time``: the instants that it names are spelled as an event's time is."""
    if isinstance(alternative, str):
        with contextlib.suppress(ValueError):
            return timestamps.to_text(timestamps.parse(alternative))
    if isinstance(alternative, dict):
        named = ("in", "anything-but")
        return {name: _in_utc(operand) if name in named else operand for name, operand in alternative.items()}
    if isinstance(alternative, list):
        return list(map(_in_utc, alternative))
    return alternative


def _nested_member(name: str, inner: Any, path: str, depth: int) -> Weighed:
    test, weight = _value_test(inner, path, depth)
    return Weighed(lambda members, work: test(members.get(name, MISSING), work), weight)


def _value_test(inner: Any, path: str, depth: int) -> Weighed:
    if isinstance(inner, list):
        return alternatives_test(inner, path)
    if not isinstance(inner, dict):
        refuse(path, "must be a list of alternatives, or an object of nested fields")
    return _over_objects(_pattern_test(inner, path, depth, _nested_member))


def _over_objects(inner: Weighed) -> Weighed:
    """Show a nested pattern one object at a time; what is neither object nor array has no members."""
    test, weight = inner.test, inner.weight + 1

    def over(value: Any, work: Work) -> bool:
        if value.__class__ is dict:
            return test(value, work)
        if value.__class__ is list:
            return over_elements(value or (MISSING,), work)
        return test({}, work)

    def over_elements(array: Iterable[Any], work: Work) -> bool:
        for element in array:
            kind = element.__class__
            if kind is list and element:
                if over_elements(elements(element), work):
                    return True
                continue
            work.left -= weight
            if work.left < 0:
                work.more()
            if test(element if kind is dict else {}, work):
                return True
        return False

    return Weighed(over, weight)


def _conjunction(parts: list[Weighed]) -> Weighed:
    if len(parts) == 1:
        return parts[0]
    tests = [part.test for part in parts]

    def every(value: Any, work: Work) -> bool:
        for test in tests:  # noqa: SIM110 -- a generator costs more than the tests of most conditions
            if not test(value, work):
                return False
        return True

    return Weighed(every, sum(part.weight for part in parts))


def _disjunction(parts: list[Weighed]) -> Weighed:
    tests = [part.test for part in parts]
    return Weighed(lambda value, work: any(test(value, work) for test in tests), sum(part.weight for part in parts))


def _negation(part: Weighed) -> Weighed:
    test = part.test
    return Weighed(lambda value, work: not test(value, work), part.weight)


def _equality_terms(pattern: dict[str, Any], path: tuple[str, ...]) -> Iterator[EqualityTerm]:
    for name, inner in pattern.items():
        if name == "$and":
            for part in inner:
                yield from _equality_terms(part, path)
        elif name in ("$or", "$not"):
            continue
        elif isinstance(inner, dict):
            yield from _equality_terms(inner, (*path, name))
        elif (keys := literal_keys(list(map(_in_utc, inner)) if (*path, name) == ("time",) else inner)) is not None:
            yield EqualityTerm((*path, name), keys)


def _versioned(term: EqualityTerm, version: int) -> EqualityTerm:
    """The term by the names of ``FIELDS``."""
    if version > 1:
        return term
    field, *rest = term.path
    return term._replace(path=(OLDER_NAMES.get(field, field), *rest))


def _attributes(pattern: dict[str, Any]) -> frozenset[str] | None:
    names: set[str] = set()
    for field, inner in _fields(pattern):
        if field in FIELDS_IN_VALUE:
            if field != "data" or not isinstance(inner, dict):
                return None
            names.update(name for name, _ in _fields(inner))
    return frozenset(names)


def _fields(pattern: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields that a pattern looks at, and what it asks of each."""
    for name, inner in pattern.items():
        if name == "$not":
            yield from _fields(inner)
        elif name in ("$and", "$or"):
            for part in inner:
                yield from _fields(part)
        else:
            yield name, inner


def _child(path: str, name: str) -> str:
    return f"{path}.{name}" if name.startswith("$") else member_path(path, name)
