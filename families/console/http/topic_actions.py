"""More partitions, another retention or partition key, and offsets of groups: each with its preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import Response

from families.console.http.formats import duration, number, percent, segment
from families.console.http.own_api import PREFIX
from families.console.http.sessions import PATH
from families.console.http.visits import TheForm, TheVisit

if TYPE_CHECKING:
    from families.console.http.forms import Form

router = APIRouter(prefix=PATH, include_in_schema=False)

_MOST_SHOWN = 24


@router.post("/topics/{topic}/partitions")
async def grow(visit: TheVisit, form: TheForm, topic: str) -> Response:
    """Give a topic more partitions."""
    body = {"partitions": form.number("partitions"), "order": form.text("order") or "keep"}
    path, back = f"/operations/topics/{topic}/partitions", f"/topics/{topic}"
    if not form.text("confirmed"):
        found = await visit.api.post(path, {**body, "dry_run": True})
        frozen = found["frozen"]
        return visit.confirm(
            f"Grow to {found['partitions']} partitions?",
            "Grow",
            explain=(*found["notes"], "A topic never has fewer partitions again."),
            facts={
                "Partitions now": found["effective_partitions"],
                "Keys that move": percent(found["moved_share"]),
                "Nothing can be published for": "not at all"
                if frozen is None
                else f"{duration(frozen['at_least'])} to {duration(frozen['at_most'])}",
                "Waits for": ", ".join(found["waits_for"]) or "nobody",
                "Not controlled": "not known now"
                if found["not_controlled"] is None
                else ", ".join(found["not_controlled"]) or "nobody",
            },
            fields=body,
            back=back,
        )
    await visit.api.post(path, body)
    return visit.go(back, "growth")


@router.post("/topics/{topic}/growth/cancel")
async def cancel_growth(visit: TheVisit, form: TheForm, topic: str) -> Response:
    """End a growth before it is done."""
    path, back = f"/operations/topics/{topic}/growth", f"/topics/{topic}"
    if not form.text("confirmed"):
        found = await visit.api.get(path)
        return visit.confirm(
            "Cancel this growth?",
            "Cancel the growth",
            explain=(
                f"Events are accepted again at once, and go to the {found['before']} partitions of before.",
                "The new partitions stay, empty.",
            ),
            back=back,
        )
    await visit.api.post(f"{path}/cancel")
    return visit.go(back, "growth-cancelled")


@router.post("/topics/{topic}/retention")
async def keep(visit: TheVisit, form: TheForm, topic: str) -> Response:
    """Change how long a topic keeps events."""
    days = form.number("days")
    seconds = round(days * 86_400) if isinstance(days, int | float) else days
    body, back = {"retention_seconds": seconds}, f"/topics/{topic}"
    path = f"{PREFIX}/operations/topics/{topic}"
    if not form.text("confirmed"):
        found = await visit.api.call("PATCH", path, body={**body, "dry_run": True})
        before = found["before"]["retention_seconds"]
        lost = found["lost_records"]
        facts = {
            "Kept now": "for ever" if before is None else duration(before),
            "Kept then": duration(found["after"]["retention_seconds"]),
            "Deletes records": "not known now" if lost is None else number(sum(lost.values())),
        }
        facts |= {f"Not read by {group}": number(many) for group, many in (found["unread"] or {}).items()}
        return visit.confirm(
            "Change the retention?",
            "Change",
            explain=(*found["notes"], "What Kafka deletes cannot be had back."),
            facts=facts,
            fields={"days": form.text("days")},
            back=back,
            is_danger=bool(lost and sum(lost.values())),
        )
    await visit.api.call("PATCH", path, body=body)
    return visit.go(back, "topic-changed")


@router.post("/topics/{topic}/key")
async def rekey(visit: TheVisit, form: TheForm, topic: str) -> Response:
    """Let events go to partitions by another key."""
    body, back = {"partition_key": form.value("key")}, f"/topics/{topic}"
    path = f"{PREFIX}/operations/topics/{topic}"
    if not form.text("confirmed"):
        found = await visit.api.call("PATCH", path, body={**body, "dry_run": True})
        return visit.confirm(
            "Change the partition key?",
            "Change",
            explain=tuple(found["notes"]) or ("That is its partition key already.",),
            facts={
                "Key now": found["before"]["partition_key"] or "none",
                "Key then": found["after"]["partition_key"] or "none",
            },
            fields={"key": form.text("key")},
            back=back,
        )
    await visit.api.call("PATCH", path, body=body)
    return visit.go(back, "topic-changed")


@router.post("/groups/{group:path}/offsets")
async def reset(visit: TheVisit, form: TheForm, group: str) -> Response:
    """Let a group read on from somewhere else."""
    body: dict[str, Any] = {"to": _target(form)}
    if form.text("topic"):
        body["topics"] = [form.text("topic")]
    if form.text("partition"):
        body["partitions"] = [form.number("partition")]
    path, back = f"/operations/groups/{group}/offsets", f"/groups/{segment(group)}"
    if not form.text("confirmed"):
        found = await visit.api.post(path, {**body, "dry_run": True})
        partitions = found["partitions"]
        facts = {
            f"{each['topic']}/{each['partition']}": f"{number(each['before'])} → {number(each['after'])}"
            for each in partitions[:_MOST_SHOWN]
        }
        if len(partitions) > _MOST_SHOWN:
            facts["and further partitions"] = number(len(partitions) - _MOST_SHOWN)
        return visit.confirm(
            "Reset the offsets of this group?",
            "Reset",
            explain=("It reads on from there: what lies behind is skipped, what lies before is read again.",),
            facts=facts,
            fields={name: form.text(name) for name in ("to", "at", "number", "topic", "partition")},
            back=back,
            is_danger=True,
        )
    await visit.api.post(path, body)
    return visit.go(back, "offsets")


def _target(form: Form) -> dict[str, Any]:
    kind = form.text("to")
    match kind:
        case "time":
            return {"time": form.time("at")}
        case "offset" | "shift":
            return {kind: form.number("number")}
        case _:
            return {kind or "earliest": True}
