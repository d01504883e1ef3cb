"""Who calls the eventhos API: senders by their access key, managers by a bearer with permissions; and its errors.

An access key, and a bearer, is a token of ``POST /auth/token`` or a client's long-lived token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from fastapi import Depends, Query, Security
from fastapi.security import HTTPBearer

from families.eventhos.catalog.records import EVERYTHING, FORBIDDEN, REALM, WORKSPACE, Event, Refused, System, find
from ingest_api import problems
from ingest_api.authentication import bearer
from ingest_api.http import Response
from ingest_api.management.dependencies import Authorization, TheGateway
from schemas.model.access import ApiKey, Client, KeyUse
from schemas.model.errors import InvalidRequest, Unauthenticated, Unavailable
from schemas.security.permissions import permits

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from ingest_api.authentication import Authenticator
    from ingest_api.gateway import Gateway
    from schemas.model.errors import HeadraceError

SUCCESS = 200000
CREATED = 200001
UNREADABLE = 400000
IDENTIFIER_MISSING = 400201
EVENT_UNKNOWN = 400024
CLIENT_UNKNOWN = 400004
INCORRECT_TOKEN = 401202
NO_TOKEN = 403002
UNCATEGORIZED = 500000

_TOKEN = HTTPBearer(scheme_name="eventhosToken", bearerFormat="JWT", auto_error=False)
"""Only declares the scheme in the OpenAPI document."""


class Sender(NamedTuple):
    """Who may send an event, and the event."""

    client: Client
    event: Event


async def sender(gateway: Gateway, identifier: str | None, access_key: str | None) -> Sender:
    """The event and the client that sends it, looked at in the order of the document's codes.

    Raises:
        Refused: no identifier, no such event, no client of its system, or an access key that is not that client's.
    """
    event = await named_event(gateway, identifier)
    client = _client_of(gateway.catalog.view, event) or await gateway.lookup(lambda view: _client_of(view, event))
    if client is None:
        raise Refused(CLIENT_UNKNOWN, "Client or user not found")
    if client.disabled:
        raise Refused(INCORRECT_TOKEN, "The client access has been revoked")
    try:
        holder = await client_of_token(gateway.authenticator, access_key or "")
    except Unauthenticated as error:
        raise Refused(INCORRECT_TOKEN, "Incorrect token") from error
    if holder.unique_id != client.unique_id:
        raise Refused(INCORRECT_TOKEN, "Incorrect token")
    return Sender(client, event)


async def named_event(gateway: Gateway, identifier: str | None) -> Event:
    """The event that a request names.

    Raises:
        Refused: 400201 it names none, 400024 there is no such event.
    """
    if not identifier:
        raise Refused(IDENTIFIER_MISSING, "event-identifier is required")
    view = gateway.catalog.view
    event = _live_event(view, identifier) or await gateway.lookup(lambda view: _live_event(view, identifier))
    if event is None:
        raise Refused(EVENT_UNKNOWN, "The event does not exist.")
    return event


async def client_of_token(authenticator: Authenticator, token: str) -> Client:
    """The client of a token, or of a long-lived token.

    Raises:
        Unauthenticated: it is neither, or its time is over.
    """
    if token.count(".") == 2:  # noqa: PLR2004  # only a JSON Web Token has three parts
        client = await authenticator.by_bare_token(token, REALM)
    else:
        client = await authenticator.by_key(token, REALM, KeyUse.LONG_LIVED)
    if client.workspace != WORKSPACE:
        raise Unauthenticated("eventhos has no other workspaces.")
    return client


def needs(permission: str) -> list[Any]:
    """The dependency of a route that only clients with a permission such as ``event:create`` may call."""
    return [caller_with(permission)]


def caller_with(permission: str) -> Any:
    """A route's parameter of type ``Client``: who calls; it must have a permission such as ``event:create``."""

    async def permitted(
        gateway: TheGateway,
        authorization: Authorization,
        _scheme: Annotated[object, Security(_TOKEN)],
        access_token: Annotated[str | None, Query(description="Instead of the header.")] = None,
    ) -> Client:
        if access_token is None and authorization is None:
            raise Refused(NO_TOKEN, "Subject not authorized; no jwt token was send")
        client = await client_of_token(gateway.authenticator, access_token or bearer(authorization or b""))
        if not permits(client.scopes, permission, everything=EVERYTHING):
            # It may have been given a moment ago elsewhere.
            client = (await gateway.view()).client(WORKSPACE, client.id) or client
        if not permits(client.scopes, permission, everything=EVERYTHING):
            raise Refused(FORBIDDEN, f"Subject not authorized; incorrect permissions: {permission} is needed")
        return client

    return Depends(permitted)


async def _key(
    gateway: TheGateway,
    authorization: Authorization,
    access_token: Annotated[str | None, Query(description="Instead of the header.")] = None,
) -> ApiKey | None:
    if access_token is None and authorization is None:
        return None
    return gateway.authenticator.key_behind(access_token or bearer(authorization or b""))


CallerKey = Annotated[ApiKey | None, Depends(_key)]
"""A route's parameter, after the caller: what the call gets lasts no longer than this key."""


def render(error: HeadraceError) -> Response:
    """An error as ``{code, message}``: the code's first three digits are the HTTP status."""
    code, message = _code(error), str(error)
    if code == UNCATEGORIZED:
        message = problems.told(error) if isinstance(error, Unavailable) else "Not categorized error"
    elif isinstance(error, InvalidRequest):
        found = "; ".join(f"{one.path}: {one.message}" for one in error.problems if one.message != message)
        message = f"{message} {found}" if found else message
    body = msgspec.json.encode({"code": code, "message": message})
    return Response(code // 1000, body, headers=problems.headers_of(error))


def _code(error: HeadraceError) -> int:
    if isinstance(error, Refused):
        return error.code
    if isinstance(error, Unauthenticated):
        return INCORRECT_TOKEN
    if isinstance(error, Unavailable):
        return UNCATEGORIZED
    return problems.status_of(error) * 1000


def _live_event(view: CatalogView, identifier: str) -> Event | None:
    found = find(view, Event, identifier)
    return None if found is None or found.deleted else found


def _client_of(view: CatalogView, event: Event) -> Client | None:
    """The client of the event's system, if it has one."""
    system = find(view, System, str(event.system_id))
    return None if system is None or system.client is None else view.client(WORKSPACE, system.client)
