"""Members of a file that no resource has."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.avro.attributes import member
from schemas.model.errors import Problem


def unknown_members(given: Any, read: Any, place: str) -> list[Problem]:
    """Return the members that were given and are not in what was read of them, at any depth."""
    if isinstance(read, msgspec.Struct) and isinstance(given, dict):
        known = type(read).__struct_fields__
        found = [
            Problem(path=member(place, str(name)), message="is no member of it") for name in given if name not in known
        ]
        inside = ((name, value) for name, value in given.items() if name in known)
        for name, value in inside:
            found += unknown_members(value, getattr(read, name), member(place, name))
        return found
    if isinstance(read, tuple) and isinstance(given, list):
        pairs = enumerate(zip(given, read, strict=False))
        return [problem for at, (one, other) in pairs for problem in unknown_members(one, other, f"{place}[{at}]")]
    return []
