"""Event types, with the versions of their schemas and what changed between two of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from families.console.http.formats import segment
from families.console.http.own_api import REGISTRY, Missing
from families.console.http.sessions import PATH
from families.console.http.visits import TheVisit, Visit

router = APIRouter(prefix=PATH, include_in_schema=False)

_MOST_VERSIONS = 50
_MOST_LINES = 2_000
"""Of a difference."""


@router.get("/types")
async def event_types(visit: TheVisit) -> Response:
    """The event types of the workspace."""
    params = visit.params("namespace", "cursor")
    found = await visit.api.get("/event-types", {**params, "limit": 200})
    return visit.page("event_types.html", title="Event types", found=found, params=params)


@router.get("/types/{namespace}/{code}")
async def event_type(visit: TheVisit, namespace: str, code: str) -> Response:
    """One event type, its schema, and how it differs from another version."""
    found = await visit.api.get(f"/event-types/{namespace}/{code}")
    versions = await _versions(visit, found["subject"])
    before, after = _chosen(visit, versions)
    return visit.page(
        "event_type.html",
        title=code,
        type=found,
        versions=versions,
        before=before,
        after=after,
        lines=[] if before is None or after is None else difference(before["schema"], after["schema"]),
    )


async def _versions(visit: Visit, subject: str) -> Any:
    """The latest versions of a schema, the newest first."""
    base = f"/subjects/{segment(subject)}/versions"
    numbers = await visit.api.look(base, prefix=REGISTRY)
    if isinstance(numbers, Missing):
        return numbers
    wanted = sorted(numbers, reverse=True)[:_MOST_VERSIONS]
    found = await asyncio.gather(*(visit.api.look(f"{base}/{each}", prefix=REGISTRY) for each in wanted))
    return [each for each in found if not isinstance(each, Missing)]


def _chosen(visit: Visit, versions: Any) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The two versions to compare: those that were asked for, or else the last two."""
    if isinstance(versions, Missing) or not versions:
        return None, None
    known = {str(each["version"]): each for each in versions}
    after = known.get(visit.param("after"), versions[0])
    earlier = next((each for each in versions if each["version"] < after["version"]), None)
    return known.get(visit.param("before"), earlier), after


def difference(before: str, after: str) -> list[tuple[str, str]]:
    """How two schemas differ, attribute by attribute: ``+`` is new, ``-`` is gone, ``@`` says where.

    It takes no longer than to read both: a comparison of lines takes seconds for some schemas of thousands.
    """
    old, new = _parts(before), _parts(after)
    lines: list[tuple[str, str]] = []
    for name in (*(each for each in old if each not in new), *new):
        if old.get(name) != new.get(name):
            lines.append(("@", name))
            lines += [("-", line) for line in _lines(old, name)]
            lines += [("+", line) for line in _lines(new, name)]
        if len(lines) > _MOST_LINES:
            return [*lines[:_MOST_LINES], ("@", "… and more: GET /schema-registry has both schemas")]
    return lines


def _parts(schema: str) -> dict[str, Any]:
    """What a schema has, by what it is: each field, also of records in it, and all that is beside them."""
    found: dict[str, Any] = {}
    waiting = [("", json.loads(schema))]
    while waiting:
        place, value = waiting.pop()
        if not isinstance(value, dict) or not isinstance(value.get("fields"), list):
            found[place or "the schema"] = value
            continue
        found[place or "the schema"] = {name: part for name, part in value.items() if name != "fields"}
        for field in value["fields"]:
            inner = f"{place}.{field['name']}".lstrip(".")
            if isinstance(field["type"], dict) and "fields" in field["type"]:
                found[f"{inner} (field)"] = {name: part for name, part in field.items() if name != "type"}
                waiting.append((inner, field["type"]))
            else:
                found[inner] = field
    return found


def _lines(parts: dict[str, Any], name: str) -> list[str]:
    return json.dumps(parts[name], indent=2, ensure_ascii=False).splitlines() if name in parts else []
