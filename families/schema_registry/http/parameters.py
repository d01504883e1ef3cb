"""Parameters of the Schema Registry API: ids, and which part of a list."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple, TypeVar

from fastapi import Depends, Path

from families.schema_registry.http import messages as answers
from families.schema_registry.http.messages import RegistryError

_Item = TypeVar("_Item")

_NUMBER = re.compile(r"-?\d{1,10}", re.ASCII)
_MOST = 2**31
"""Ids and list positions have 32 bits."""


def _schema_id(text: Annotated[str, Path(alias="schema_id")]) -> int:
    """An id; a path with anything else is no path of the API, as in the original.

    Raises:
        RegistryError: it is no number.
    """
    if _NUMBER.fullmatch(text) is None:
        raise RegistryError(404, "HTTP 404 Not Found")
    if not 0 <= int(text) < _MOST:
        raise RegistryError(answers.SCHEMA_NOT_FOUND, f"Schema {text} not found")
    return int(text)


class Part(NamedTuple):
    """Which items of a list are asked for; a negative limit is none."""

    offset: int = 0
    limit: int = -1

    def of(self, items: list[_Item]) -> list[_Item]:
        """These items."""
        return items[max(0, self.offset) :][: self.limit if self.limit >= 0 else None]


def _part(offset: int = 0, limit: int = -1) -> Part:
    return Part(offset, limit)


SchemaId = Annotated[int, Depends(_schema_id)]
ThePart = Annotated[Part, Depends(_part)]
