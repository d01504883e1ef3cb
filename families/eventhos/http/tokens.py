"""``POST /auth/token``: an access token for a client's id and secret, by form or JSON (OAuth 2.0, RFC 6749)."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response as HttpResponse
from starlette.responses import JSONResponse

from backbone.catalog.view import CatalogView
from families.eventhos.catalog.accounts import holds_long_lived
from families.eventhos.catalog.records import REALM, WORKSPACE, Account, Refused, Role, find, numbered
from families.eventhos.http.access import CLIENT_UNKNOWN, INCORRECT_TOKEN, SUCCESS, UNREADABLE
from families.eventhos.http.openapi import ERRORS, TOKEN
from families.eventhos.http.services import accounts_of
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import TheGateway
from schemas.model.access import Client, KeyUse
from schemas.model.errors import Unauthenticated
from schemas.security.binding import Binding

LIFETIME = 86_400
"""Seconds that an access token is valid, as in the original."""

_LONGEST = 65_536
"""Bytes of a request, which anybody may make: of millions a form takes a second to read."""

_TOO_LARGE = 413000
_LONG_LIVED_ONLY = 400011
_WRONG_SECRET = 401100

router = APIRouter(tags=["eventhos access"], responses=ERRORS)


async def _fields(request: Request) -> dict[str, str]:
    """The fields of the form or of the JSON object.

    Raises:
        Refused: the body is neither, or has more bytes than ids and secrets ever need.
    """
    body = await request.body()
    if len(body) > _LONGEST:
        raise Refused(_TOO_LARGE, f"The body may have {_LONGEST} bytes")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if media_type == "application/x-www-form-urlencoded":
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100, errors="strict"))
        found: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(UNREADABLE, "The body must be a form or JSON.") from error
    if not isinstance(found, dict):
        raise Refused(UNREADABLE, "The body must be a form or a JSON object.")
    return {name: value for name, value in found.items() if isinstance(value, str)}


@router.post(
    "/auth/token", status_code=201, summary="Get an access token", response_class=JSONResponse, openapi_extra=TOKEN
)
async def token(gateway: TheGateway, fields: Annotated[dict[str, str], Depends(_fields)]) -> HttpResponse:
    """By client credentials. The token is good for a day, as access key and as bearer."""
    grant = _field(fields, "grant_type")
    if grant == "password":
        _field(fields, "username")
        _field(fields, "password")
        # There are no users here: people sign in to the console, programs are clients.
        raise Refused(CLIENT_UNKNOWN, "Client or user not found")
    if grant != "client_credentials":
        raise Refused(UNREADABLE, f"Unsupported grant_type: {grant}")
    secret = _field(fields, "client_secret")
    client = await _client(gateway, _field(fields, "client_id"), secret)
    key = gateway.authenticator.key_behind(secret)
    if key is None:
        raise Refused(_WRONG_SECRET, "Incorrect client secret")  # reset this moment
    account = find(gateway.catalog.view, Account, client.id)
    if account is None or account.deleted:
        account = await gateway.in_time(accounts_of(gateway).adopt(client))
    data = {"id": client.id, "subjectType": "client", "identifier": account.identifier}
    issued = gateway.tokens.issue(REALM, client.id, LIFETIME, Binding.of(client, key), until=key.expires_at, data=data)
    content = {
        "jwt_token": issued.text,
        "name": account.name,
        "description": account.description,
        "client_id": account.id,
        "identifier": account.identifier,
        "roles": role_names(gateway.catalog.view, account),
    }
    answer = {"code": SUCCESS, "message": f"Token generated for client {client.id}", "content": content}
    return JSONResponse(answer, 201, headers={"cache-control": "no-store"})


def role_names(view: CatalogView, account: Account) -> list[str]:
    """The identifiers of a client's roles."""
    roles = (numbered(view, Role, number) for number in account.roles)
    return [role.identifier for role in roles if role is not None]


async def _client(gateway: Gateway, client_id: str, secret: str) -> Client:
    """The client that a token is for.

    Raises:
        Refused: 400004 it is unknown, 401202 revoked, 400011 it has a long-lived token, 401100 the secret is wrong.
    """
    client = await gateway.lookup(lambda view: view.client(WORKSPACE, client_id))
    if client is None or client.realm != REALM:
        raise Refused(CLIENT_UNKNOWN, "Client or user not found")
    if client.disabled:
        raise Refused(INCORRECT_TOKEN, "The client access has been revoked")
    # As in the original this is said before the secret is looked at.
    if holds_long_lived(gateway.catalog.view, client.id):
        raise Refused(_LONG_LIVED_ONLY, "Client can not generate short live token")
    try:
        holder = await gateway.authenticator.by_key(secret, REALM, KeyUse.CLIENT_SECRET, KeyUse.API)
    except Unauthenticated as error:
        raise Refused(_WRONG_SECRET, "Incorrect client secret") from error
    # A client of that id may hold this secret in another workspace.
    if holder.unique_id != client.unique_id:
        raise Refused(_WRONG_SECRET, "Incorrect client secret")
    return client


def _field(fields: dict[str, str], name: str) -> str:
    found = fields.get(name)
    if not found:
        raise Refused(UNREADABLE, f"{name} is required")
    return found
