"""The names that the families give to realms and bodies, as enumerations of the OpenAPI document."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from families import registry
from schemas.model.access import HEADRACE
from schemas.model.endpoint import CLOUDEVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable


class Name(StrEnum):
    """One of them, or another: a record of a family that is here no more is shown all the same."""

    @classmethod
    def _missing_(cls, value: object) -> Name | None:
        if not isinstance(value, str):
            return None
        made = str.__new__(cls, value)
        made._name_ = made._value_ = value
        return made


def _enumeration(title: str, description: str, names: Iterable[str]) -> type[Name]:
    made = cast("Any", Name)(title, {each.upper(): each for each in names}, module=__name__)
    made.__doc__ = description
    return cast("type[Name]", made)


def _registered(name: Name) -> Name:
    """Refuse a name that is not one of the enumeration, as pydantic does."""
    known = [f"'{each}'" for each in type(name)]
    if name not in type(name).__members__.values():
        expected = " or ".join((", ".join(known[:-1]), known[-1]))
        raise PydanticCustomError("enum", "Input should be {expected}", {"expected": expected})
    return name


if TYPE_CHECKING:
    Realm = Name
    BodyFormat = Name
else:
    Realm = _enumeration(
        "Realm",
        "The API family a credential belongs to; the other families refuse it.",
        dict.fromkeys((HEADRACE, *registry.FAMILIES.values())),
    )
    BodyFormat = _enumeration(
        "BodyFormat",
        "How a webhook's body is rendered; each value has a module in ``families/delivery.py``.",
        (CLOUDEVENTS, *registry.BODIES),
    )

GivenRealm = Annotated[Realm, AfterValidator(_registered)]
"""The realm of a request: one that there is."""

GivenBodyFormat = Annotated[BodyFormat, AfterValidator(_registered)]
"""The format that a request asks for: one that there is."""
