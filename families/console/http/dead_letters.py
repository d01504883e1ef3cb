"""Dead letters: found, read, redriven and discarded."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import Response

from families.console.http.events import endpoint_names, search_of
from families.console.http.runs import preview_facts
from families.console.http.sessions import PATH
from families.console.http.visits import TheForm, TheVisit, Visit

if TYPE_CHECKING:
    from families.console.http.forms import Form

router = APIRouter(prefix=PATH, include_in_schema=False)

_FIELDS = ("state", "kind", "endpoint", "namespace", "type", "reason", "cursor")
_SELECTION = ("endpoint", "namespace", "type", "reason", "since", "until")


@router.get("/dead-letters")
async def letters(visit: TheVisit) -> Response:
    """Those that are open, or those that a search finds."""
    params = search_of(visit, *_FIELDS)
    params.setdefault("state", "open")
    asked = {name: value for name, value in params.items() if (name, value) != ("state", "all")}
    found, names = await asyncio.gather(visit.api.get("/dead-letters", asked), endpoint_names(visit))
    selection = {name: params[name] for name in _SELECTION if name in params}
    return visit.page(
        "dead_letters.html", title="Dead letters", found=found, params=params, names=names, selection=selection
    )


@router.get("/dead-letters/{letter_id}")
async def letter(visit: TheVisit, letter_id: str) -> Response:
    """One as it was set aside."""
    found, names = await asyncio.gather(visit.api.get(f"/dead-letters/{letter_id}"), endpoint_names(visit))
    return visit.page(
        "dead_letter.html", title=f"Dead letter {letter_id}", letter=found, names=names, content=_text(found["value"])
    )


def _text(value: str | None) -> str | None:
    """The bytes of a record as text; what is none is shown in hexadecimal."""
    try:
        return None if value is None else base64.b64decode(value).decode("utf-8", "backslashreplace")
    except binascii.Error:
        return value


@router.post("/dead-letters/redrive")
async def redrive(visit: TheVisit, form: TheForm) -> Response:
    """Send letters again: those that were ticked, or all that the search names."""
    return await _settle(visit, form, "redrive", "Redrive these dead letters?", "Redrive")


@router.post("/dead-letters/discard")
async def discard(visit: TheVisit, form: TheForm) -> Response:
    """Count letters as settled, without sending them."""
    return await _settle(visit, form, "discard", "Discard these dead letters?", "Discard")


async def _settle(visit: Visit, form: Form, verb: str, title: str, label: str) -> Response:
    selection: dict[str, Any] = form.given(*_SELECTION)
    if form.texts("ids"):
        selection = {"ids": form.texts("ids")}
    rate = form.number("rate")
    body = selection | ({} if rate is None else {"rate": rate})
    path = f"/dead-letters/{verb}"
    if not form.text("confirmed"):
        run = await visit.api.post(path, {**body, "dry_run": True})
        explain = {
            "redrive": "Each is sent once more with its webhook-id, whoever else redrives it.",
            "discard": "They count as settled and are not sent. It cannot be undone.",
        }[verb]
        if not selection:
            explain = f"No search limits this: it takes all open dead letters that you may see. {explain}"
        return visit.confirm(
            title,
            label,
            explain=(explain,),
            facts=preview_facts(run),
            fields=body,
            back="/dead-letters",
            is_danger=verb == "discard",
        )
    run = await visit.api.post(path, body, once=form.text("once"))
    return visit.go(f"/runs/{run['id']}")
