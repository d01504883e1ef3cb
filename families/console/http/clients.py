"""Clients and their API keys."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from families.console.http.own_api import PREFIX, Missing
from families.console.http.sessions import PATH
from families.console.http.visits import TheForm, TheVisit, Visit
from schemas.model.errors import NotFound, PermissionDenied
from schemas.security.permissions import Operation, check_for

QUOTA_KINDS = ("requests", "events", "bytes")
"""What a quota may limit, a second."""

router = APIRouter(prefix=PATH, include_in_schema=False)


@router.get("/clients")
async def clients(visit: TheVisit) -> Response:
    """The clients of the workspace; for who may not read them all, itself."""
    params = visit.params("cursor")
    found, quotas = await asyncio.gather(
        visit.api.look("/clients", {**params, "limit": 200}), visit.api.look("/quotas", {"limit": 1_000})
    )
    if isinstance(found, Missing) and not params:
        own = await visit.api.get(f"/clients/{visit.client.id}")
        found = {"items": [own], "next_cursor": None}
    return visit.page("clients.html", title="Clients", found=found, params=params, quotas=_limited(quotas))


def _limited(quotas: Any) -> Any:
    """The quotas that limit something; or why they cannot be shown."""
    if isinstance(quotas, Missing):
        return quotas
    return [each for each in quotas["items"] if any(each[kind] for kind in QUOTA_KINDS)]


@router.get("/clients/{client_id}")
async def client(visit: TheVisit, client_id: str) -> Response:
    """One client with its keys, never the keys themselves."""
    found, keys = await asyncio.gather(
        visit.api.get(f"/clients/{client_id}"), visit.api.look(f"/clients/{client_id}/keys", {"limit": 1_000})
    )
    return visit.page(
        "client.html",
        title=found["name"] or client_id,
        client=found,
        keys=keys,
        may_issue=_may(visit, Operation.ISSUE_KEYS, client_id),
        may_revoke=client_id == visit.client.id or visit.may(Operation.MANAGE_CLIENTS),
        may_manage=visit.may(Operation.MANAGE_CLIENTS),
    )


def _may(visit: Visit, operation: Operation, whose: str) -> bool:
    try:
        check_for(visit.client, operation, whose)
    except PermissionDenied:
        return False
    return True


@router.post("/clients/{client_id}/keys")
async def issue_key(visit: TheVisit, form: TheForm, client_id: str) -> Response:
    """Issue an API key, which the answer alone shows."""
    lifetime = form.number("lifetime")
    if not form.text("confirmed"):
        until = "until it is revoked" if lifetime is None else f"for {lifetime} seconds"
        return visit.confirm(
            "Issue an API key?",
            "Issue key",
            explain=("The next page shows it, once.", f"It is good {until}."),
            fields={"lifetime": lifetime},
            back=f"/clients/{client_id}",
        )
    made = await visit.api.post(f"/clients/{client_id}/keys", None if lifetime is None else {"lifetime": lifetime})
    return visit.page(
        "secret.html",
        title="New API key",
        what="The new API key",
        secret=made["key"],
        back=f"{PATH}/clients/{client_id}",
    )


@router.post("/clients/{client_id}/keys/{key_id}/revoke")
async def revoke_key(visit: TheVisit, form: TheForm, client_id: str, key_id: str) -> Response:
    """Revoke an API key."""
    if not form.text("confirmed"):
        return visit.confirm(
            "Revoke this API key?",
            "Revoke",
            explain=("It is refused from now on, and so are tokens and sessions that were got with it.",),
            back=f"/clients/{client_id}",
            is_danger=True,
        )
    await visit.api.call("DELETE", f"{PREFIX}/clients/{client_id}/keys/{key_id}")
    return visit.go(f"/clients/{client_id}", "key-revoked")


@router.post("/clients/{client_id}/{command}")
async def switch(visit: TheVisit, form: TheForm, client_id: str, command: str) -> Response:
    """Disable or enable a client."""
    if command not in ("disable", "enable"):
        raise NotFound(f"There is no command {command}.")
    is_disabled = command == "disable"
    if not form.text("confirmed"):
        what = "Disable" if is_disabled else "Enable"
        explain = "Its keys and tokens are refused." if is_disabled else "Its keys are good again."
        return visit.confirm(
            f"{what} this client?", what, explain=(explain,), back=f"/clients/{client_id}", is_danger=is_disabled
        )
    await visit.api.call("PATCH", f"{PREFIX}/clients/{client_id}", body={"disabled": is_disabled})
    return visit.go(f"/clients/{client_id}", "client-disabled" if is_disabled else "client-enabled")
