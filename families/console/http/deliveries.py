"""Deliveries: searched, shown with each request and response, and sent again."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.responses import Response

from families.console.http.events import endpoint_names, search_of
from families.console.http.runs import preview_facts
from families.console.http.sessions import PATH
from families.console.http.visits import TheForm, TheVisit
from schemas.model.standing import Reason, Standing

router = APIRouter(prefix=PATH, include_in_schema=False)

_FIELDS = ("outcome", "namespace", "type", "endpoint", "id", "status", "reason", "identifier", "run", "order", "cursor")


@router.get("/deliveries")
async def deliveries(visit: TheVisit) -> Response:
    """The latest deliveries, or those that a search finds."""
    params = search_of(visit, *_FIELDS)
    found, names = await asyncio.gather(visit.api.get("/deliveries", params), endpoint_names(visit))
    return visit.page(
        "deliveries.html",
        title="Deliveries",
        found=found,
        params=params,
        names=names,
        outcomes=[each.value for each in Standing],
        reasons=[each.value for each in Reason],
    )


@router.get("/deliveries/{delivery_id}")
async def delivery(visit: TheVisit, delivery_id: str) -> Response:
    """One delivery with its attempts, in the run that ``run`` names."""
    found, names = await asyncio.gather(
        visit.api.get(f"/deliveries/{delivery_id}", visit.params("run")), endpoint_names(visit)
    )
    return visit.page("delivery.html", title=f"Delivery {delivery_id}", delivery=found, names=names)


@router.post("/deliveries/{delivery_id}/resend")
async def resend(visit: TheVisit, form: TheForm, delivery_id: str) -> Response:
    """Send a delivery once more, whatever became of it."""
    path = f"/deliveries/{delivery_id}/resend"
    if not form.text("confirmed"):
        run = await visit.api.post(path, params={"dry_run": True})
        return visit.confirm(
            "Resend this delivery?",
            "Resend",
            explain=("Its receiver gets the same webhook-id once more.",),
            facts=preview_facts(run),
            back=f"/deliveries/{delivery_id}",
        )
    run = await visit.api.post(path, once=form.text("once"))
    return visit.go(f"/runs/{run['id']}")
