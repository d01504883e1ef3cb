"""Event filters that name event types or attributes that there are not: a warning, or an error where none can come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from families.headrace.http.cloudevent_attributes import name_problem
from schemas.avro.attributes import member
from schemas.model.errors import InvalidFilter, Problem
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from backbone.catalog.view import CatalogView
    from schemas.model.endpoint import TypeSelection
    from schemas.model.event_type import EventType

ANY = "*"


class _Asked(NamedTuple):
    """An attribute that a condition looks at; ``absent`` if it only asks whether it is missing."""

    field: str
    """``data`` or ``extensions``."""
    path: str
    name: str
    absent: bool


def filter_warnings(
    view: CatalogView, workspace: str, types: Iterable[TypeSelection], condition: str | None
) -> list[str]:
    """What of a filter matches nothing now: types that are not registered, and attributes that no such type has.

    A wildcard stands for types to come, and an open type has any attribute.

    Raises:
        InvalidFilter: every type is there and is not open, and none has the attribute; or no extension has such a name.
    """
    closed, warnings, is_open = _selected(view, workspace, types)
    # Sets, for a condition may look at hundreds of attributes of many types with a thousand each.
    found = {f"{each.namespace}/{each.code}": {one.name for one in each.attributes} for each in closed}
    asked = (
        () if condition is None else _attributes(json.loads(condition, parse_float=str, parse_int=str), "$.condition")
    )
    problems: list[Problem] = []
    for looked in asked:
        message = _absence(looked, found)
        if message is None:
            continue
        elsewhere = looked.field == "data" and (is_open or any(looked.name in names for names in found.values()))
        if elsewhere or looked.absent:
            warnings.append(f"{looked.path} {message}.")
        else:
            problems.append(Problem(path=looked.path, message=message))
    if problems:
        raise InvalidFilter("The filter asks for attributes that no event of its types has.", problems)
    return list(dict.fromkeys(warnings))


def _selected(
    view: CatalogView, workspace: str, types: Iterable[TypeSelection]
) -> tuple[list[EventType], list[str], bool]:
    """The closed types, a warning for each that is not there, and whether any may have attributes of any name."""
    found: list[EventType] = []
    warnings: list[str] = []
    is_open = False
    for one in types:
        event_type = None
        if ANY not in (one.namespace, one.code):
            event_type = view.event_type(event_topic(workspace, one.namespace, one.code))
            if event_type is None:
                name = f"{one.namespace}/{one.code}"
                warnings.append(f"There is no event type {name}: the filter matches its events once it is registered.")
        if event_type is None or event_type.open:
            is_open = True
        else:
            found.append(event_type)
    return found, warnings, is_open


def _absence(looked: _Asked, found: Mapping[str, Collection[str]]) -> str | None:
    """Who does not have what a condition looks at, or None; ``found`` has the names of the types' attributes."""
    if looked.field == "extensions":
        return name_problem(looked.name)
    lacking = [event_type for event_type, names in found.items() if looked.name not in names]
    return f"is not an attribute of {', '.join(lacking)}" if lacking else None


def _attributes(pattern: Any, path: str) -> Iterator[_Asked]:
    """The attributes and extensions that a condition looks at; it has been compiled, so its form is known."""
    for name, inner in pattern.items():
        place = f"{path}.{name}" if name.startswith("$") else member(path, name)
        if name in ("$and", "$or"):
            for index, each in enumerate(inner):
                yield from _attributes(each, f"{place}[{index}]")
        elif name == "$not":
            yield from _attributes(inner, place)
        elif name in ("data", "extensions") and isinstance(inner, dict):
            for attribute, tests in inner.items():
                yield _Asked(name, member(place, attribute), attribute, tests == [{"exists": False}])
