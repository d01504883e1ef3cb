"""Bodies with very many wrong values, which take a worker longer to tell than to find."""

from __future__ import annotations

import functools
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from schemas.model.errors import MOST_PROBLEMS

_SHOWN = 100
"""Elements of each list that are looked at for what is told."""


async def refuse_many_problems(request: Request) -> None:
    """Refuse a body with more than ``MOST_PROBLEMS`` wrong values before FastAPI builds an error of each.

    pydantic counts its errors at once, and takes 3 µs and a kilobyte to tell each.

    Raises:
        RequestValidationError: it has more; some are told.
    """
    field = getattr(request.scope["route"], "body_field", None)
    if field is None or "json" not in request.headers.get("content-type", "").lower():
        return
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        return  # the route says so
    model = field.field_info.annotation
    found = _errors(model, body)
    if found is not None and found.error_count() > MOST_PROBLEMS:
        raise RequestValidationError(told_errors(found, model, body))


def told_errors(found: ValidationError, model: Any, body: object) -> list[Any]:
    """Return the errors in a body, as FastAPI places them.

    Where there are more than ``MOST_PROBLEMS``, one says so, and others are those of the first elements of each list.

    Args:
        found: all errors.
        model: the type of the body.
        body: the JSON as Python values.
    """
    told: list[Any] = []
    few: ValidationError | None = found
    if found.error_count() > MOST_PROBLEMS:
        told = [{"type": "too_many", "loc": (), "msg": f"has more than {MOST_PROBLEMS:,} wrong values"}]
        few = _errors(model, _beginning(body))
    if few is not None and few.error_count() <= MOST_PROBLEMS:
        told += few.errors(include_url=False, include_input=False)
    return [{**each, "loc": ("body", *each["loc"])} for each in told]


def _errors(model: Any, body: object) -> ValidationError | None:
    try:
        _adapter(model).validate_python(body, from_attributes=True)
    except ValidationError as error:
        return error
    return None


def _beginning(body: object) -> object:
    if isinstance(body, dict):
        return {name: value[:_SHOWN] if isinstance(value, list) else value for name, value in body.items()}
    return body[:_SHOWN] if isinstance(body, list) else body


@functools.cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)
