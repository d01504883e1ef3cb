"""Topics, partitions and consumer groups, from the snapshot that ``headrace monitor`` takes."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.responses import Response

from families.console.http.events import search_of
from families.console.http.plots import partition_bars
from families.console.http.sessions import PATH
from families.console.http.visits import TheVisit

router = APIRouter(prefix=PATH, include_in_schema=False)


@router.get("/topics")
async def topics(visit: TheVisit) -> Response:
    """All topics that the user may see."""
    params = visit.params("prefix", "cursor")
    found = await visit.api.get("/operations/topics", {**params, "limit": 200})
    return visit.page("topics.html", title="Topics", found=found, params=params)


@router.get("/topics/{topic}")
async def topic(visit: TheVisit, topic: str) -> Response:
    """One topic: its partitions, how evenly they are used, who reads them, and the advice."""
    found, growth = await asyncio.gather(
        visit.api.get(f"/operations/topics/{topic}"), visit.api.look(f"/operations/topics/{topic}/growth")
    )
    partitions = found["partition_list"]
    return visit.page(
        "topic.html",
        title=topic,
        topic=found,
        growth=growth,
        rates=partition_bars(partitions, "events_per_second", "Events a second by partition", "events/s"),
    )


@router.get("/groups")
async def groups(visit: TheVisit) -> Response:
    """Consumer groups with their lag."""
    params = visit.params("topic", "cursor")
    found = await visit.api.get("/operations/groups", {**params, "limit": 200})
    return visit.page("groups.html", title="Groups", found=found, params=params)


@router.get("/groups/{group:path}")
async def group(visit: TheVisit, group: str) -> Response:
    """One group: its lag by partition."""
    found = await visit.api.get(f"/operations/groups/{group}")
    return visit.page(
        "group.html",
        title=group,
        group=found,
        lag=partition_bars(found["partition_list"], "lag", "Lag by partition", "records"),
    )


@router.get("/audit")
async def audit(visit: TheVisit) -> Response:
    """Who changed what, and when."""
    params = search_of(visit, "actor", "kind", "id", "cursor")
    found = await visit.api.get("/audit", {**params, "limit": 100})
    return visit.page("audit.html", title="Audit", found=found, params=params)
