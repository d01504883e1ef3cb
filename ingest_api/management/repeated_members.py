"""Members that an object of a request body has twice: JSON readers differ in which of the two they take."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from fastapi import Request

from ingest_api.management.dependencies import Caller, take_turn
from schemas.avro.attributes import member
from schemas.model.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Repeated(dict[str, Any]):
    """An object that has one name twice."""

    name: str


async def refuse_repeated_members(request: Request, _caller: Caller) -> None:
    """Check a body: ``{"dry_run": true, "dry_run": false}`` may mean either; first it is known who calls.

    Raises:
        InvalidRequest: an object in it has a member twice.
    """
    body = await request.body()
    if not body or request.scope["route"].body_field is None:
        return
    found: list[_Repeated] = []

    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        repeated = _Repeated(members)
        times = Counter(name for name, _ in pairs)
        repeated.name = next(name for name in times if times[name] > 1)
        found.append(repeated)
        return repeated

    try:
        content = json.loads(body, object_pairs_hook=read)
    except (ValueError, RecursionError):
        return  # the route says so
    if found:
        path = next(_paths(content, "$"), "$")
        raise InvalidRequest("The request is not valid.", [Problem(path=path, message="is there twice")])
    await take_turn(request, body)


def _paths(content: Any, path: str) -> Iterator[str]:
    if isinstance(content, _Repeated):
        yield member(path, content.name)
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _paths(value, member(path, name))
    elif isinstance(content, list):
        for index, each in enumerate(content):
            yield from _paths(each, f"{path}[{index}]")
