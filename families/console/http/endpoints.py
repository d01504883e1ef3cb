"""Endpoints: how each does, in figures and plots."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from families.console.http.own_api import Missing
from families.console.http.plots import hourly_outcomes, latencies
from families.console.http.sessions import PATH
from families.console.http.visits import TheVisit

router = APIRouter(prefix=PATH, include_in_schema=False)

_FOR_LATENCY = 200
_LATEST = 10


@router.get("/endpoints")
async def endpoints(visit: TheVisit) -> Response:
    """All endpoints with their state and what became of their last day."""
    params = visit.params("status", "cursor")
    found, counts = await asyncio.gather(
        visit.api.get("/endpoints", {**params, "limit": 200}), visit.api.look("/delivery-counts")
    )
    outcomes: dict[str, Counter[str]] = {}
    for each in [] if isinstance(counts, Missing) else counts["items"]:
        if each["endpoint"] is not None and each["live"]:
            outcomes.setdefault(each["endpoint"], Counter()).update(each["outcomes"])
    return visit.page("endpoints.html", title="Endpoints", found=found, params=params, outcomes=outcomes, counts=counts)


@router.get("/endpoints/{endpoint_id}")
async def endpoint(visit: TheVisit, endpoint_id: str) -> Response:
    """One endpoint: health, rate, latency, its last deliveries, and what leads to it."""
    look = visit.api.look
    found, health, counts, latest, subscriptions, filters, letters, types = await asyncio.gather(
        visit.api.get(f"/endpoints/{endpoint_id}"),
        look(f"/endpoints/{endpoint_id}/health"),
        look("/delivery-counts", {"endpoint": endpoint_id}),
        look(f"/endpoints/{endpoint_id}/deliveries", {"limit": _FOR_LATENCY}),
        look("/subscriptions", {"endpoint": endpoint_id, "limit": 200}),
        look("/filters", {"limit": 1_000}),
        look("/dead-letters", {"endpoint": endpoint_id, "state": "open", "limit": 100}),
        look("/event-types", {"limit": 1_000}),
    )
    return visit.page(
        "endpoint.html",
        title=found["name"] or "Endpoint",
        endpoint=found,
        health=health,
        rate=counts if isinstance(counts, Missing) else hourly_outcomes(counts["items"], counts["until"]),
        latency=latest if isinstance(latest, Missing) else latencies(latest["items"]),
        latest=latest if isinstance(latest, Missing) else latest["items"][:_LATEST],
        links=_links(subscriptions, filters),
        letters=letters,
        types=[] if isinstance(types, Missing) else types["items"],
        is_webhook=found["type"] == "WEB_HOOK",
    )


def _links(subscriptions: Any, filters: Any) -> Any:
    """The subscriptions with the filters that they link to; or why they cannot be shown."""
    if isinstance(subscriptions, Missing):
        return subscriptions
    known = {} if isinstance(filters, Missing) else {each["id"]: each for each in filters["items"]}
    return [{**each, "of": known.get(each["filter"])} for each in subscriptions["items"]]
