"""Events: searched, shown with what became of them, watched as they come in, and redacted."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from families.console.http.forms import in_utc
from families.console.http.own_api import Missing
from families.console.http.sessions import PATH
from families.console.http.visits import TheForm, TheVisit, Visit
from schemas.security.permissions import Operation

router = APIRouter(prefix=PATH, include_in_schema=False)

_FIELDS = ("id", "namespace", "type", "source", "clientid", "subject", "cursor")
_TAIL = 50


def search_of(visit: Visit, *names: str) -> dict[str, str]:
    """The parameters of a search: those of the API, with times in UTC."""
    times = {name: in_utc(text) for name, text in visit.params("since", "until").items()}
    return {**visit.params(*names), **times}


async def endpoint_names(visit: Visit) -> dict[str, str]:
    """The names of endpoints by their ids; empty where the user may not read them."""
    found = await visit.api.look("/endpoints", {"limit": 1_000})
    return {} if isinstance(found, Missing) else {each["id"]: each["name"] for each in found["items"]}


@router.get("/events")
async def events(visit: TheVisit) -> Response:
    """The latest events, or those that a search finds."""
    params = search_of(visit, *_FIELDS)
    found = await visit.api.get("/events", params)
    return visit.page("events.html", title="Events", found=found, params=params)


@router.get("/events/{event_id}")
async def event(visit: TheVisit, event_id: str) -> Response:
    """One event: its data, and its deliveries with their attempts."""
    found, names = await asyncio.gather(
        visit.api.get(f"/events/{event_id}", visit.params("source")), endpoint_names(visit)
    )
    return visit.page(
        "event.html",
        title=f"Event {found['id']}",
        event=found,
        names=names,
        may_redact=visit.may(Operation.REDACT) and found["redacted_at"] is None,
    )


@router.post("/events/{event_id}/redact")
async def redact(visit: TheVisit, form: TheForm, event_id: str) -> Response:
    """Take the payload of an event out of the ledger and event files."""
    if not form.text("confirmed"):
        return visit.confirm(
            "Redact this event?",
            "Redact",
            explain=(
                "Its data, subject, identifiers and extensions go from the ledger and from event files.",
                "Kafka keeps the bytes until retention takes them.",
                "It cannot be undone.",
            ),
            back=f"/events/{event_id}",
            is_danger=True,
        )
    await visit.api.post(f"/events/{event_id}/redact")
    return visit.go(f"/events/{event_id}", "redacted")


@router.get("/tail")
async def tail(visit: TheVisit) -> Response:
    """The latest events; the page asks again every two seconds while it is open."""
    params = visit.params("namespace", "type", "source", "clientid")
    found: dict[str, Any] = await visit.api.get("/events", {**params, "limit": _TAIL})
    return visit.page("tail.html", title="Live tail", found=found, params=params)
