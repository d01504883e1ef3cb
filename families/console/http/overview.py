"""The overview: does it add up, does anything lag, what needs attention."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from families.console.http.clients import QUOTA_KINDS
from families.console.http.own_api import Missing
from families.console.http.plots import hourly_outcomes
from families.console.http.sessions import PATH
from families.console.http.visits import TheVisit
from schemas.model.endpoint_health import REFUSALS

router = APIRouter(prefix=PATH, include_in_schema=False)

_SHOWN = 5


@router.get("/")
async def overview(visit: TheVisit) -> Response:
    """The last day of the workspace, as far as the user may see it; what cannot be had says so."""
    look = visit.api.look
    operations, balance, counts, endpoints, letters, quotas = await asyncio.gather(
        look("/operations"),
        look("/balance", {"limit": 1_000}),
        look("/delivery-counts"),
        look("/endpoints", {"limit": 1_000}),
        look("/dead-letters", {"state": "open", "limit": 100}),
        look("/quotas", {"limit": 1_000}),
    )
    names = {} if isinstance(endpoints, Missing) else {each["id"]: each["name"] for each in endpoints["items"]}
    plot = counts if isinstance(counts, Missing) else hourly_outcomes(counts["items"], counts["until"])
    busiest = _busiest(counts, names)
    failing = [each for each in busiest if each["retrying"] or each["dead"] or not each["delivered"]]
    healths = await asyncio.gather(*(look(f"/endpoints/{each['id']}/health") for each in failing))
    attention = [
        *_failing(failing, healths),
        *_attention(endpoints, letters, balance),
        *_refused(quotas),
    ]
    return visit.page(
        "overview.html",
        title="Overview",
        operations=operations,
        balance=balance if isinstance(balance, Missing) else _sums(balance),
        plot=plot,
        endpoints=busiest,
        attention=attention,
        names=names,
    )


def _sums(balance: dict[str, Any]) -> dict[str, Any]:
    """The balance of all endpoints and hours of the page."""
    total: Counter[str] = Counter()
    for each in balance["items"]:
        total.update({name: value for name, value in each.items() if isinstance(value, int)})
    members = ("matched", "delivered", "retrying", "in_flight", "held", "cancelled", "dead", "not_kept")
    # A difference of an hour that the ledger has not read to its end yet may pass.
    settled = sum(abs(each["difference"]) for each in balance["items"] if each["complete"])
    open_difference = sum(abs(each["difference"]) for each in balance["items"] if not each["complete"])
    return {
        "sums": {name: total[name] for name in members},
        "difference": settled,
        "open_difference": open_difference,
        "complete_until": balance["complete_until"],
        "is_all": balance["next_cursor"] is None,
    }


def _busiest(counts: Any, names: dict[str, str]) -> list[dict[str, Any]]:
    """Endpoints by how much of their last day was not delivered."""
    if isinstance(counts, Missing):
        return []
    found: dict[str, Counter[str]] = {}
    for each in counts["items"]:
        if each["endpoint"] is not None and each["live"]:
            found.setdefault(each["endpoint"], Counter()).update(each["outcomes"])
    rows: list[dict[str, Any]] = []
    for endpoint, outcomes in found.items():
        total, delivered = outcomes.total(), outcomes["delivered"]
        rows.append(
            {
                "id": endpoint,
                "name": names.get(endpoint, endpoint),
                "deliveries": total,
                "delivered": delivered / total if total else None,
                "retrying": outcomes["retrying"],
                "dead": outcomes["dead"],
            }
        )
    return sorted(rows, key=lambda row: (row["delivered"] or 0, -row["deliveries"]))[:_SHOWN]


def _failing(endpoints: list[dict[str, Any]], healths: list[Any]) -> list[dict[str, str]]:
    """Endpoints that take nothing now, with what they answered last."""
    found = []
    for each, health in zip(endpoints, healths, strict=True):
        if not isinstance(health, Missing) and health["status"] == "failing":
            cause = f"{health['consecutive_failures']:,} attempts in a row; the last {health['reason']}"
            cure = "Read its last attempts, mend the receiver or the URL, then redrive what was given up"
            if health["last_error"] is not None and health["last_error"]["status"] in REFUSALS:
                cause += ". The receiver refuses the signature or the credentials"
                cure = "Rotate the signing secret and give it to the receiver, then redrive what was given up"
            found.append(
                {
                    "what": f"Endpoint {each['name'] or each['id']} is failing",
                    "cause": cause,
                    "cure": cure,
                    "path": f"/endpoints/{each['id']}",
                }
            )
    return found


def _attention(endpoints: Any, letters: Any, balance: Any) -> list[dict[str, str]]:
    """What the catalog and the ledger show to be wrong: cause, and where its cure is."""
    found = []
    for each in [] if isinstance(endpoints, Missing) else endpoints["items"]:
        state = each["state"]
        if state["status"] != "enabled":
            found.append(
                {
                    "what": f"Endpoint {each['name'] or each['id']} is {state['status']}",
                    "cause": state["reason"] or "",
                    "cure": "Look at its last attempts, then enable or resume it",
                    "path": f"/endpoints/{each['id']}",
                }
            )
    if not isinstance(letters, Missing) and letters["items"]:
        many = f"{len(letters['items'])}{'+' if letters['next_cursor'] else ''}"
        found.append(
            {
                "what": f"{many} dead letter{'' if many == '1' else 's'} open",
                "cause": _commonest([each["reason"] for each in letters["items"]]),
                "cure": "Mend the cause, then redrive them",
                "path": "/dead-letters?state=open",
            }
        )
    if not isinstance(balance, Missing):
        wrong = [each for each in balance["items"] if each["complete"] and each["difference"]]
        if wrong:
            found.append(
                {
                    "what": f"The balance of {len({each['endpoint'] for each in wrong})} endpoints does not add up",
                    "cause": "Deliveries that were matched are in no outcome",
                    "cure": "See where",
                    "path": "/balance?unbalanced=true",
                }
            )
    return found


def _refused(quotas: Any) -> list[dict[str, str]]:
    """Quotas that bind: requests were refused in the last minutes."""
    found = []
    for each in [] if isinstance(quotas, Missing) else quotas["items"]:
        for kind in QUOTA_KINDS:
            limit = each[kind]
            if limit is not None and limit["refused"]:
                found.append(
                    {
                        "what": f"The quota of {each['scope']} {each['name'] or each['client']} binds",
                        "cause": f"{limit['refused']:,} requests refused: over {limit['per_second']:,} {kind} a second",
                        "cure": "Raise it with `headrace quotas`, or have fewer sent",
                        "path": "/clients",
                    }
                )
    return found


def _commonest(reasons: list[str]) -> str:
    ((reason, _),) = Counter(reasons).most_common(1)
    return f"Most often: {reason}"


@router.get("/balance")
async def balance_page(visit: TheVisit) -> Response:
    """The balance of endpoints and hours; with ``unbalanced`` the offsets where it does not add up."""
    params = visit.params("endpoint", "unbalanced", "cursor")
    found, endpoints = await asyncio.gather(
        visit.api.get("/balance", params), visit.api.look("/endpoints", {"limit": 1_000})
    )
    names = {} if isinstance(endpoints, Missing) else {each["id"]: each["name"] for each in endpoints["items"]}
    return visit.page("balance.html", title="Balance", found=found, params=params, names=names)
