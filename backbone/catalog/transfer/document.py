"""A file of the catalog: one section for each kind of resource, sorted, without times of creation and change.

``since`` of subscriptions and of a filter's types is kept: it says from when on events count.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import msgspec

from backbone.catalog.transfer import yaml_text
from backbone.catalog.transfer.place import unknown_members
from schemas.avro.attributes import member
from schemas.model import timestamps
from schemas.model.access import ApiKey, Client, Workspace
from schemas.model.endpoint import Endpoint, EventFilter, Subscription
from schemas.model.errors import InvalidRequest, Problem
from schemas.model.event_type import EventType, Registration
from schemas.model.family_record import FamilyRecord
from schemas.model.projection import EndpointProjection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from schemas.model.resources import Resource

VERSION = 1
"""Of the form of a file."""

LEFT_OUT, SEALED = "left out", "sealed"

SECTIONS: dict[str, type[Resource]] = {
    "workspaces": Workspace,
    "clients": Client,
    "api_keys": ApiKey,
    "event_types": EventType,
    "registrations": Registration,
    "endpoints": Endpoint,
    "projections": EndpointProjection,
    "filters": EventFilter,
    "subscriptions": Subscription,
    "family_records": FamilyRecord,
}
"""In the order of the file."""

_HEAD = ("headrace", "secrets", "sealed_with")
_TIMES = ("created_at", "updated_at", "tokens_from")
_DERIVED = ("attributes", "schema_id")
"""Of an event type: they follow from what it declares, its registrations and its schemas."""

_FIRST_LINE = "# The catalog of Headrace: headrace import applies it."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """One resource of a file.

    Attributes:
        place: of the resource in the file.
        resource: as the file has it; its times are 0.
        schemas: texts of an event type's schemas, oldest first.
        current: number of the current one, from 1.
    """

    place: str
    resource: Resource
    schemas: tuple[str, ...] = ()
    current: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Document:
    """A file.

    Attributes:
        sealed: whether secrets are in it, encrypted.
        sealed_with: ids of the secret keys of the installation that wrote it.
        sections: the names of those that it has.
        items: all its resources.
    """

    sealed: bool
    sealed_with: tuple[str, ...] = ()
    sections: frozenset[str]
    items: tuple[Item, ...]


def written(items: Iterable[tuple[Resource, Sequence[str], int]], *, sealed_with: Sequence[str] | None) -> str:
    """Return a file.

    Args:
        items: resources in their order, each with its schemas and the number of the current one.
        sealed_with: ids of the secret keys, None for a file without secrets.
    """
    head: dict[str, Any] = {"headrace": VERSION, "secrets": LEFT_OUT if sealed_with is None else SEALED}
    if sealed_with is not None:
        head["sealed_with"] = list(sealed_with)
    sections: dict[str, list[Any]] = {name: [] for name, kind in SECTIONS.items() if _is_in(kind, sealed_with)}
    names = {kind: name for name, kind in SECTIONS.items()}
    for resource, schemas, current in items:
        sections[names[type(resource)]].append(_plain(resource, schemas, current))
    return f"{_FIRST_LINE}\n{yaml_text.dump(head | sections)}"


def read(text: bytes) -> Document:
    """Read a file.

    Raises:
        InvalidRequest: it is none; names every place.
    """
    found = yaml_text.load(text)
    problems: list[Problem] = []
    if not isinstance(found, dict):
        raise InvalidRequest("The file is no catalog.", [Problem(path="$", message="must be a mapping")])
    if found.get("headrace") != VERSION:
        message = f"must be {VERSION}: the form of the file"
        problems.append(Problem(path="$.headrace", message=message))
    sealed = found.get("secrets", LEFT_OUT)
    if sealed not in (LEFT_OUT, SEALED):
        problems.append(Problem(path="$.secrets", message=f"must be {LEFT_OUT!r} or {SEALED!r}"))
    keys = found.get("sealed_with", [])
    if not isinstance(keys, list) or not all(isinstance(each, str) for each in keys):
        problems.append(Problem(path="$.sealed_with", message="must be a list of texts"))
        keys = []
    known = ", ".join(SECTIONS)
    problems += [
        Problem(path=member("$", str(name)), message=f"is no kind of resource: there are {known}")
        for name in found
        if name not in SECTIONS and name not in _HEAD
    ]
    if sealed == LEFT_OUT and found.get("api_keys"):
        message = "is only in a file with `secrets: sealed`: keys cannot be imported without their hashes"
        problems.append(Problem(path="$.api_keys", message=message))
    items = [item for name in SECTIONS if name in found for item in _section(name, found[name], problems)]
    if problems:
        raise InvalidRequest("The file cannot be imported: nothing was changed.", problems)
    sections = frozenset(name for name in SECTIONS if name in found)
    return Document(sealed=sealed == SEALED, sealed_with=tuple(keys), sections=sections, items=tuple(items))


def _is_in(kind: type[Resource], sealed_with: Sequence[str] | None) -> bool:
    return kind is not ApiKey or sealed_with is not None


def _plain(resource: Resource, schemas: Sequence[str], current: int) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(resource)
    for field in msgspec.structs.fields(resource):
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        if field.name in _TIMES or (default is not msgspec.NODEFAULT and getattr(resource, field.name) == default):
            found.pop(field.name, None)
    found.pop("kind")
    match resource:
        case Subscription():
            found["since"] = _text(found.pop("linked_at", None))
        case EventFilter():
            found["types"] = [
                {"namespace": each.namespace, "code": each.code, "since": _text(each.added_at)}
                for each in resource.types
            ]
        case EventType():
            found = {name: value for name, value in found.items() if name not in _DERIVED}
            found["schemas"] = list(schemas)
            if current != len(schemas):
                found["schema"] = current
        case EndpointProjection():
            for each in found["versions"]:
                del each["created_at"]
        case _:
            pass
    return found


def _section(name: str, found: Any, problems: list[Problem]) -> list[Item]:
    if found is None:
        return []
    if not isinstance(found, list):
        problems.append(Problem(path=f"$.{name}", message="must be a list"))
        return []
    items = []
    for index, given in enumerate(found):
        place = f"$.{name}[{index}]"
        if not isinstance(given, dict):
            problems.append(Problem(path=place, message="must be a mapping"))
            continue
        try:
            items.append(_item(SECTIONS[name], given, place))
        except InvalidRequest as error:
            problems += error.problems
    return items


def _item(kind: type[Resource], given: Mapping[str, Any], place: str) -> Item:
    for name in (*_TIMES, "kind"):
        if name in given:
            raise _wrong(f"{place}.{name}", "is not in a file")
    members = dict(given)
    schemas, current = _schemas(members, place) if kind is EventType else ((), 0)
    members = _as_kept(kind, members, place) | {"created_at": 0, "updated_at": 0}
    try:
        resource = msgspec.convert(members, kind)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        raise _wrong(place + where.rstrip("`"), message) from error
    unknown = unknown_members(members, resource, place)
    if unknown:
        raise InvalidRequest("", unknown)
    return Item(place=place, resource=resource, schemas=schemas, current=current)


def _as_kept(kind: type[Resource], members: dict[str, Any], place: str) -> dict[str, Any]:
    """The members of a resource as the catalog names them."""
    if kind is Subscription:
        rest = {name: value for name, value in members.items() if name != "since"}
        return rest | {"linked_at": _micros(members.get("since"), f"{place}.since")}
    if kind is EventFilter and isinstance(members.get("types"), list):
        types = enumerate(members["types"])
        return members | {"types": [_selection(each, f"{place}.types[{at}]") for at, each in types]}
    if kind is EndpointProjection and isinstance(members.get("versions"), list):
        versions = members["versions"]
        return members | {
            "versions": [{"created_at": 0, **each} if isinstance(each, dict) else each for each in versions]
        }
    return members


def _schemas(members: dict[str, Any], place: str) -> tuple[tuple[str, ...], int]:
    for name in _DERIVED:
        if name in members:
            raise _wrong(f"{place}.{name}", "follows from `declared` and the registrations: leave it out")
    members["schema_id"] = 0
    texts = members.pop("schemas", None) or []
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise _wrong(f"{place}.schemas", "must be a list of texts")
    current = members.pop("schema", len(texts))
    if not isinstance(current, int) or not min(1, len(texts)) <= current <= len(texts):
        raise _wrong(f"{place}.schema", "must be the number of one of `schemas`, from 1")
    return tuple(texts), current


def _selection(given: Any, place: str) -> Any:
    if not isinstance(given, dict):
        return given
    rest = {name: value for name, value in given.items() if name != "since"}
    return rest | {"added_at": _micros(given.get("since"), f"{place}.since")}


def _text(micros: int | None) -> str | None:
    return None if micros is None else timestamps.to_text(micros)


def _micros(text: Any, place: str) -> int | None:
    if text is None:
        return None
    try:
        return timestamps.parse(text if isinstance(text, str) else "")
    except ValueError as error:
        raise _wrong(place, "must be a time (RFC 3339) in quotation marks") from error


def _wrong(place: str, message: str) -> InvalidRequest:
    return InvalidRequest("", [Problem(path=place, message=message)])
