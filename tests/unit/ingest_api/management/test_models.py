"""Bodies are taken as JSON says: a text is no number, and neither ``"yes"`` nor 1 is true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args

import pytest
from pydantic import Field, ValidationError

from families.headrace.http import own_api  # noqa: F401  # defines all bodies
from ingest_api.management.models import Input

if TYPE_CHECKING:
    from collections.abc import Iterator

WRONG: dict[type, tuple[object, ...]] = {
    bool: ("yes", "true", 1, 0, "1"),
    int: ("5", True, 5.5),
    float: ("5", True),
}


def bodies(base: type[Input] = Input) -> Iterator[type[Input]]:
    for each in base.__subclasses__():
        yield each
        yield from bodies(each)


def members() -> Iterator[tuple[type[Input], str, type]]:
    """Every boolean and every number of a body, by its name in JSON."""
    for body in bodies():
        for name, field in body.model_fields.items():
            for kind in {field.annotation, *get_args(field.annotation)} & WRONG.keys():
                yield body, str(field.validation_alias or field.alias or name), kind


@pytest.mark.parametrize(("body", "name", "kind"), list(members()), ids=lambda each: getattr(each, "__name__", each))
def test_members_are_taken_from_no_other_type(body: type[Input], name: str, kind: type) -> None:
    for value in WRONG[kind]:
        with pytest.raises(ValidationError) as refused:
            body.model_validate({name: value})
        places = [each["loc"][0] for each in refused.value.errors() if each["loc"]]
        assert name in places, f"{body.__name__}.{name} takes {value!r}"


def test_all_kinds_are_there() -> None:
    assert {kind for _, _, kind in members()} == WRONG.keys()


class Nested(Input):
    flags: Annotated[dict[str, bool], Field(default_factory=dict)]
    counts: tuple[int, ...] = ()
    rate: float | None = None


@pytest.mark.parametrize("body", [{"flags": {"a": 1}}, {"counts": [1, "2"]}, {"counts": [True]}, {"rate": "1"}])
def test_also_inside_of_others(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Nested.model_validate(body)


def test_what_json_counts_as_a_number_is_taken() -> None:
    found = Nested.model_validate({"flags": {"a": True}, "counts": [1, 2.0], "rate": 5})
    assert found == Nested(flags={"a": True}, counts=(1, 2), rate=5.0)
