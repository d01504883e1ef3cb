"""What can be done to an endpoint, each with a page before it that says what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter
from fastapi.responses import Response

from families.console.http.own_api import PREFIX
from families.console.http.runs import preview_facts
from families.console.http.sessions import PATH
from families.console.http.visits import TheForm, TheVisit
from schemas.model.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from families.console.http.forms import Form

router = APIRouter(prefix=f"{PATH}/endpoints/{{endpoint_id}}", include_in_schema=False)


@router.post("/pause")
async def pause(visit: TheVisit, form: TheForm, endpoint_id: str) -> Response:
    """Send nothing for now, and keep what comes."""
    if not form.text("confirmed"):
        return visit.confirm(
            "Pause this endpoint?",
            "Pause",
            explain=(
                "Nothing is sent to it until you resume it.",
                "Events that come meanwhile are kept as long as their topics keep them, and are sent after the pause.",
            ),
            back=f"/endpoints/{endpoint_id}",
        )
    await visit.api.post(f"/endpoints/{endpoint_id}/pause")
    return visit.go(f"/endpoints/{endpoint_id}", "paused")


@router.post("/resume")
async def resume(visit: TheVisit, form: TheForm, endpoint_id: str) -> Response:
    """End a pause; a run sends what was kept."""
    rate = form.number("rate")
    if not form.text("confirmed"):
        speed = "as fast as the endpoint takes it" if rate is None else f"at most {rate} a second"
        return visit.confirm(
            "Resume this endpoint?",
            "Resume",
            explain=("New events are sent at once.", f"A run sends what was kept, {speed}."),
            fields={"rate": rate},
            back=f"/endpoints/{endpoint_id}",
        )
    await visit.api.post(f"/endpoints/{endpoint_id}/resume", None if rate is None else {"rate": rate})
    return visit.go(f"/endpoints/{endpoint_id}", "resumed")


@router.post("/enable")
async def enable(visit: TheVisit, form: TheForm, endpoint_id: str) -> Response:
    """Send to an endpoint that was disabled, or that asked for a pause."""
    if not form.text("confirmed"):
        return visit.confirm(
            "Enable this endpoint?",
            "Enable",
            explain=(
                "It is sent what comes from now on.",
                "What was dropped or given up meanwhile does not come back: replay it, or redrive its dead letters.",
            ),
            back=f"/endpoints/{endpoint_id}",
        )
    await visit.api.call("PATCH", f"{PREFIX}/endpoints/{endpoint_id}", body={"enabled": True})
    return visit.go(f"/endpoints/{endpoint_id}", "enabled")


@router.post("/disable")
async def disable(visit: TheVisit, form: TheForm, endpoint_id: str) -> Response:
    """Send nothing, and drop what comes."""
    if not form.text("confirmed"):
        return visit.confirm(
            "Disable this endpoint?",
            "Disable",
            explain=(
                "Events that come meanwhile are dropped for it. To keep them, pause it instead.",
                "Deliveries that wait are cancelled.",
            ),
            back=f"/endpoints/{endpoint_id}",
            is_danger=True,
        )
    await visit.api.call("PATCH", f"{PREFIX}/endpoints/{endpoint_id}", body={"enabled": False})
    return visit.go(f"/endpoints/{endpoint_id}", "disabled")


@router.post("/url")
async def change_url(visit: TheVisit, form: TheForm, endpoint_id: str) -> Response:
    """Send to another URL."""
    body, back = {"url": form.text("url")}, f"/endpoints/{endpoint_id}"
    if not form.text("confirmed"):
        return visit.confirm(
            "Change the URL?",
            "Change",
            explain=(
                f"What comes, and what waits for another attempt, goes to {body['url']} from now on.",
                "It is signed as before and has the same credentials: the new receiver gets to see them.",
            ),
            fields=body,
            back=back,
        )
    await visit.api.call("PATCH", f"{PREFIX}/endpoints/{endpoint_id}", body=body)
    return visit.go(back, "url")


@router.post("/rotate-secret")
async def rotate_secret(visit: TheVisit, form: TheForm, endpoint_id: str) -> Response:
    """Sign with a new secret, which the answer alone shows."""
    overlap = form.number("overlap")
    if not form.text("confirmed"):
        hours = "24 hours" if overlap is None else f"{overlap} seconds"
        return visit.confirm(
            "Rotate the signing secret?",
            "Rotate",
            explain=(
                "A new secret is made. The next page shows it, once.",
                f"The secrets of before sign along for {hours}, so that the receiver can change over.",
            ),
            fields={"overlap": overlap},
            back=f"/endpoints/{endpoint_id}",
        )
    body = None if overlap is None else {"overlap": overlap}
    made = await visit.api.post(f"/endpoints/{endpoint_id}/rotate-secret", body)
    return visit.page(
        "secret.html",
        title="New signing secret",
        what="The new signing secret",
        secret=made["signing_secret"],
        back=f"{PATH}/endpoints/{endpoint_id}",
    )


@router.post("/test")
async def send_test(visit: TheVisit, form: TheForm, endpoint_id: str) -> Response:
    """Try the endpoint with a made-up event, and show what it answered."""
    namespace, _, code = form.text("type").partition("/")
    body: dict[str, Any] = {"namespace": namespace, "code": code}
    if form.text("data"):
        body["data"] = _json(form)
    if not form.text("confirmed"):
        return visit.confirm(
            "Send a test event?",
            "Send test",
            explain=(
                f"The endpoint gets one made-up event of type {form.text('type')}, signed as any other.",
                "Nothing is published. It is tried once, and a failure disables nothing.",
            ),
            fields={"type": form.text("type"), "data": form.text("data")},
            back=f"/endpoints/{endpoint_id}",
        )
    result = await visit.api.post(f"/endpoints/{endpoint_id}/test", body)
    return visit.page("test.html", title="Test send", result=result, endpoint_id=endpoint_id)


def _json(form: Form) -> Any:
    try:
        return msgspec.json.decode(form.text("data").encode())
    except msgspec.DecodeError as error:
        raise InvalidRequest("The data is no JSON.", [Problem(path="data", message=str(error))]) from error


@router.post("/replay")
async def replay(visit: TheVisit, form: TheForm, endpoint_id: str) -> Response:
    """Send all events of a time once more."""
    body: dict[str, Any] = {
        "from": form.time("from") or "earliest",
        "until": form.time("until"),
        "matched": form.text("matched") or "current",
        "rate": form.number("rate"),
    }
    path = f"/endpoints/{endpoint_id}/replay"
    if not form.text("confirmed"):
        run = await visit.api.post(path, {**body, "dry_run": True})
        return visit.confirm(
            "Replay these events?",
            "Replay",
            explain=(
                f"From {body['from']} until {body['until'] or 'now'}.",
                "The endpoint gets them with their webhook-ids, also those that it has got. They wait behind new ones.",
            ),
            facts=preview_facts(run),
            fields=body,
            back=f"/endpoints/{endpoint_id}",
        )
    run = await visit.api.post(path, body, once=form.text("once"))
    return visit.go(f"/runs/{run['id']}")
