"""Which events a command is about: event types, and conditions of the filter language."""

from __future__ import annotations

import json

import msgspec

from operations.errors import WrongUsage


def selection(text: str) -> dict[str, str]:
    """A code, ``<namespace>/<code>``, or ``*`` for every type, as a filter selects it."""
    namespace, slash, code = text.partition("/")
    if text == "*":
        return {"namespace": "*", "code": "*"}
    return {"namespace": namespace, "code": code} if slash else {"code": text}


def condition_text(text: str | None) -> msgspec.Raw | None:
    """A condition with its numbers as they were written; None for none.

    Raises:
        WrongUsage: it is not JSON.
    """
    if text is None:
        return None
    try:
        json.loads(text)
    except ValueError as error:
        raise WrongUsage(f"The condition is not JSON: {error}") from error
    return msgspec.Raw(text.encode())
