"""How many events a body has, before anything is made of them: eight megabytes hold four million values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from schemas.model.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_COMMAS = 100_000
"""Of a body that has something else among its events, and is read on to name all that is wrong with it."""

_TOO_MANY = "too many"


def check_number(
    body: bytes, type_of: Callable[[Any], Any], most: int, too_many: str
) -> msgspec.ValidationError | None:
    """Count the events of a large body. The reader stops at the first one too many, or at the first that is no object.

    Args:
        body: JSON, or not.
        type_of: the type of the body, given that of an event.
        most: events.
        too_many: told if there are more.

    Returns:
        What is wrong with the first event that is no object, if the body is too large to look for others.

    Raises:
        InvalidRequest: there are more.
    """
    left = most

    def count(_event: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError(_TOO_MANY)

    counted = msgspec.defstruct("Event", [], namespace={"__post_init__": count}, gc=False)
    try:
        msgspec.json.decode(body, type=type_of(counted))
    except msgspec.ValidationError as error:
        if left < 0:
            raise InvalidRequest(too_many) from None
        return error if body.count(b",") > _MOST_COMMAS else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # whoever reads it says so
    return None
