"""Runs: how far resends, replays and redrives are; and the preview that comes before each."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from families.console.http.events import endpoint_names
from families.console.http.sessions import PATH
from families.console.http.visits import TheForm, TheVisit
from schemas.model.run import RunKind, RunState

router = APIRouter(prefix=PATH, include_in_schema=False)

_ENDS = frozenset({"DONE", "CANCELLED", "FAILED"})
_COMMANDS = {
    "pause": ("Pause this run?", "run-paused", "It writes no more deliveries. Those that it has written are sent."),
    "resume": ("Resume this run?", "run-resumed", "It goes on where it was paused."),
    "cancel": ("Cancel this run?", "run-cancelled", "It ends for good. Deliveries that it has written are sent."),
}


def preview_facts(run: dict[str, Any]) -> dict[str, Any]:
    """The figures of a dry run, as a preview shows them."""
    verb = "Would settle" if run["kind"] == "DISCARD" else "Would send"
    facts: dict[str, Any] = {verb: run["deliveries"]}
    facts |= {f"Left out: {reason}": many for reason, many in run["skipped"].items()}
    if run["lost"]:
        facts["Gone from Kafka (offsets)"] = run["lost"]
    if run["state"] not in _ENDS:
        facts["Counted so far"] = f"{run['looked_at']:,} of {run['total']:,} offsets; it goes on counting"
    if run["reason"]:
        facts["Ended early"] = run["reason"]
    return facts


@router.get("/runs")
async def runs(visit: TheVisit) -> Response:
    """What sends again, and how far it is; the latest first."""
    params = visit.params("kind", "state", "endpoint")
    found, names = await asyncio.gather(visit.api.get("/runs", {**params, "limit": 1_000}), endpoint_names(visit))
    items = [each for each in reversed(found["items"]) if visit.param("dry") or not each["dry_run"]]
    return visit.page(
        "runs.html",
        title="Runs",
        items=items[:200],
        params=params,
        names=names,
        kinds=[each.value for each in RunKind],
        states=[each.value for each in RunState],
    )


@router.get("/runs/{run_id}")
async def run(visit: TheVisit, run_id: str) -> Response:
    """One run; the page follows it until it ends."""
    found, names = await asyncio.gather(visit.api.get(f"/runs/{run_id}"), endpoint_names(visit))
    return visit.page("run.html", title=f"Run {run_id}", run=found, names=names, is_over=found["state"] in _ENDS)


@router.post("/runs/{run_id}/{command}")
async def steer(visit: TheVisit, form: TheForm, run_id: str, command: str) -> Response:
    """Pause, resume or cancel a run."""
    title, done, explain = _COMMANDS.get(command, ("", "", ""))
    if title and not form.text("confirmed"):
        back, label = f"/runs/{run_id}", command.capitalize()
        return visit.confirm(title, f"{label} the run", explain=(explain,), back=back, is_danger=command == "cancel")
    # The API says that there is no other command.
    await visit.api.post(f"/runs/{run_id}/{command}")
    return visit.go(f"/runs/{run_id}", done)
