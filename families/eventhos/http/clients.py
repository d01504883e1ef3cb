"""``/auth/client``: who may send events, and who may manage what.

A secret, and a long-lived token, is shown once, when it is made: ``GET /auth/client/:id/secret`` says only that there
is one, and ``PUT`` there makes another.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from backbone.catalog.view import CatalogView
from families.eventhos.catalog.accounts import existing_account, holds_long_lived
from families.eventhos.catalog.records import WORKSPACE, Account, Role, all_of, numbered
from families.eventhos.http.access import CREATED, CallerKey, caller_with, needs
from families.eventhos.http.messages import ANSWERS, Answer, Identifier, Input, Name, Pages, Text, done, iso, success
from families.eventhos.http.openapi import ERRORS
from families.eventhos.http.services import accounts_of
from ingest_api.management.dependencies import TheGateway
from ingest_api.management.models import example
from schemas.model.access import Client, KeyUse
from schemas.security.binding import end_of

Creator = Annotated[Client, caller_with("OAUTH2_client:create")]
Changer = Annotated[Client, caller_with("OAUTH2_client:update")]
Deleter = Annotated[Client, caller_with("OAUTH2_client:delete")]
"""A route's parameter: the client that calls, with that permission."""

router = APIRouter(tags=["eventhos access"], responses=ERRORS)


_MOST_ROLES = 100
"""Of one client."""


class RoleChoice(Input):
    """A role, by its id."""

    id: int


class EventhosClientInput(Input):
    """A client to create."""

    model_config = example(identifier="shop", name="Shop")

    identifier: Identifier
    name: Name
    roles: Annotated[tuple[RoleChoice | int, ...], Field(max_length=_MOST_ROLES)] = ()
    description: Text | None = None


class EventhosClientChange(Input):
    """What of a client shall change."""

    name: Name | None = None
    description: Text | None = None


class ClientRoles(Input):
    """The roles that a client has from now on."""

    roles: Annotated[tuple[RoleChoice | int, ...], Field(max_length=_MOST_ROLES)]


class Revocation(Input):
    """Whether a client is refused."""

    revoke: bool


@router.post("/auth/client", status_code=201, summary="Create a client", **ANSWERS)
async def create_client(
    gateway: TheGateway,
    caller: Creator,
    key: CallerKey,
    body: EventhosClientInput,
    *,
    long_live: Annotated[bool, Query(alias="longLive", description="With a long-lived token.")] = False,
) -> Answer:
    """Its id and secret are what ``POST /auth/token`` takes; they are shown this once."""
    made = await gateway.in_time(
        accounts_of(gateway).create(
            by=caller.id,
            identifier=body.identifier.lower(),
            name=body.name,
            description=body.description or "",
            roles=_ids(body.roles),
            long_lived=long_live,
            until=end_of(key),
        )
    )
    content = {
        "id": made.account.id,
        "clientId": made.account.client,
        "clientSecret": made.secret,
        "access_token": made.long_lived or "",
    }
    return success(content, code=CREATED, message="Client added")


@router.get("/auth/client", summary="List clients", dependencies=needs("OAUTH2_client:select"), **ANSWERS)
async def list_clients(gateway: TheGateway, pages: Pages) -> Answer:
    """Without what they hold."""
    view = await gateway.view()
    return success(pages.of([_client_row(view, each) for each in all_of(view, Account)]), message="Select completed")


@router.put(
    "/auth/client/{client_id}",
    status_code=201,
    summary="Change a client",
    **ANSWERS,
)
async def change_client(gateway: TheGateway, caller: Changer, client_id: int, body: EventhosClientChange) -> Answer:
    """Its name or description."""
    await gateway.in_time(accounts_of(gateway).change(client_id, by=caller.id, **body.changes()))
    return done("Client updated")


@router.put(
    "/auth/client/{client_id}/role",
    status_code=201,
    summary="Give a client other roles",
    **ANSWERS,
)
async def change_client_roles(gateway: TheGateway, caller: Changer, client_id: int, body: ClientRoles) -> Answer:
    """All of them; from now on it may do what they permit together."""
    await gateway.in_time(accounts_of(gateway).change(client_id, by=caller.id, roles=_ids(body.roles)))
    return done("Subject roles updated")


@router.delete(
    "/auth/client/{client_id}",
    status_code=201,
    summary="Delete a client",
    **ANSWERS,
)
async def delete_client(gateway: TheGateway, caller: Deleter, client_id: int) -> Answer:
    """The events of its system cannot be sent until the system has another client."""
    await gateway.in_time(accounts_of(gateway).delete(client_id, by=caller.id))
    return done("Client deleted")


@router.put(
    "/auth/client/{client_id}/revoke",
    status_code=201,
    summary="Revoke a client's access, or restore it",
    **ANSWERS,
)
async def revoke_client(gateway: TheGateway, caller: Changer, client_id: int, body: Revocation) -> Answer:
    """All its tokens are refused at once."""
    await gateway.in_time(accounts_of(gateway).revoke(client_id, by=caller.id, revoked=body.revoke))
    return done("Token revoked" if body.revoke else "Token rectified")


@router.put(
    "/auth/client/{client_id}/long-live",
    status_code=201,
    summary="Give a client a long-lived token, or take it away",
    **ANSWERS,
)
async def give_long_lived(
    gateway: TheGateway, caller: Changer, key: CallerKey, client_id: int, *, remove_long_live: bool = False
) -> Answer:
    """The token is shown this once; one that it had before is refused from now on.

    Who has one gets no other tokens (``400011``).
    """
    accounts = accounts_of(gateway)
    if remove_long_live:
        await gateway.in_time(accounts.take_long_lived(client_id, by=caller.id))
        return done("Token removed")
    token = await gateway.in_time(accounts.give(client_id, KeyUse.LONG_LIVED, by=caller.id, until=end_of(key)))
    return success({"access_token": token}, message="Token generated")


@router.get(
    "/auth/client/{client_id}/secret",
    summary="Whether a client has a secret",
    dependencies=needs("OAUTH2_client:select"),
    **ANSWERS,
)
async def get_secret(gateway: TheGateway, client_id: int) -> Answer:
    """Only its last four characters are known: what was handed out is kept as a hash."""
    view = await gateway.view()
    _, client = existing_account(view, client_id)
    uses = (KeyUse.CLIENT_SECRET, KeyUse.API)
    hints = [each.hint for each in view.api_keys(WORKSPACE, client.id) if each.use in uses]
    return success({"clientSecretEndsWith": hints}, message="Client secret")


@router.put(
    "/auth/client/{client_id}/secret",
    status_code=201,
    summary="Give a client another secret",
    **ANSWERS,
)
async def give_secret(gateway: TheGateway, caller: Changer, key: CallerKey, client_id: int) -> Answer:
    """The secret is shown this once; the one before gets no tokens from now on."""
    secret = await gateway.in_time(
        accounts_of(gateway).give(client_id, KeyUse.CLIENT_SECRET, by=caller.id, until=end_of(key))
    )
    return success({"clientSecret": secret}, code=CREATED, message="Client secret generated")


def _ids(roles: tuple[RoleChoice | int, ...]) -> list[int]:
    return [each if isinstance(each, int) else each.id for each in roles]


def _client_row(view: CatalogView, account: Account) -> dict[str, Any]:
    client = view.client(WORKSPACE, account.client)
    roles = (numbered(view, Role, each) for each in account.roles)
    return {
        "id": account.id,
        "subjectId": account.id,
        "client_id": account.client,
        "identifier": account.identifier,
        "name": account.name,
        "description": account.description,
        "revoked": client is None or client.disabled,
        "longLive": holds_long_lived(view, account.client),
        "permissions": [] if client is None else list(client.scopes),
        "roles": [{"id": each.id, "identifier": each.identifier} for each in roles if each is not None],
        "created_at": iso(account.created_at),
        "updated_at": iso(account.updated_at),
    }
