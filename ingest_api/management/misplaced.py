"""Members of a request body that are misspelt or stand in the wrong place: refused, for they would change nothing.

The documents of some families have members that are not kept here, so a member that is not known is passed over. But
``authType`` beside ``authentication`` instead of in it would have requests sent without credentials, unnoticed.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from fastapi import Request
from pydantic import BaseModel

from ingest_api.management.dependencies import take_turn
from schemas.avro.attributes import member
from schemas.model.errors import MOST_PROBLEMS, InvalidRequest, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANYWHERE = frozenset(("name", "type", "id", "description", "code", "value", "key", "url", "enabled"))
"""Members that other objects of the documents have, too."""


async def refuse_misplaced(request: Request) -> None:
    """Check a body against the model that its route takes.

    Raises:
        InvalidRequest: a member is misspelt, or belongs elsewhere in the body; the message says where.
    """
    field = getattr(request.scope["route"], "body_field", None)
    model = None if field is None else next(_models_in(field.field_info.annotation), None)
    if model is None:
        return
    try:
        content = await request.json()
    except (ValueError, RecursionError):
        return  # the route says so
    problems = list(islice(_misplaced(content, model, "$", places(model)), MOST_PROBLEMS))
    if problems:
        raise InvalidRequest("The request is not valid.", problems)
    await take_turn(request, await request.body())


@cache
def places(model: type[BaseModel]) -> dict[str, str]:
    """Where each member of a body belongs, by its plain name; members that stand in several places are left out."""
    found = list(_places(model, "$", ()))
    times = Counter(plain for plain, _ in found)
    return {plain: place for plain, place in found if times[plain] == 1 and plain not in _ANYWHERE}


def _places(model: type[BaseModel], path: str, above: tuple[type[BaseModel], ...]) -> Iterator[tuple[str, str]]:
    for name, below, many in _members(model):
        place = f"{path}.{name}" + ("[]" if many else "")
        yield _plain(name), place
        for each in below:
            if each not in above:
                yield from _places(each, place, (*above, model))


def _misplaced(content: Any, model: type[BaseModel], path: str, elsewhere: dict[str, str]) -> Iterator[Problem]:
    if isinstance(content, list):
        for index, each in enumerate(content):
            yield from _misplaced(each, model, f"{path}[{index}]", elsewhere)
    if not isinstance(content, dict):
        return
    known = _known(model)
    for name, value in content.items():
        below = known.below.get(name)
        if below is not None:
            for each in below:
                yield from _misplaced(value, each, member(path, name), elsewhere)
            continue
        plain = _plain(name)
        own = known.spelt.get(plain)
        if own is not None and own not in content:
            yield Problem(path=member(path, name), message=f"is not known: it is spelt {own}")
        elif plain in elsewhere:
            yield Problem(path=member(path, name), message=f"does not belong here: its place is {elsewhere[plain]}")


class _Known(NamedTuple):
    """What a model takes: the models of each member, by all names that it may have, and its name by the plain one."""

    below: dict[str, tuple[type[BaseModel], ...]]
    spelt: dict[str, str]


@cache
def _known(model: type[BaseModel]) -> _Known:
    members = {name: below for name, below, _ in _members(model)}
    others = model.model_fields if model.model_config.get("populate_by_name") else ()
    return _Known({**dict.fromkeys(others, ()), **members}, {_plain(name): name for name in members})


@cache
def _members(model: type[BaseModel]) -> tuple[tuple[str, tuple[type[BaseModel], ...], bool], ...]:
    """The members of a model: name, models of the value, and whether it is an array."""
    return tuple(
        (field.alias or name, tuple(_models_in(field.annotation)), "tuple" in str(field.annotation))
        for name, field in model.model_fields.items()
    )


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models_in(each)


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
