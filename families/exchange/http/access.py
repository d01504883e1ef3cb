"""Who calls the Exchange API, by the level of the key, and how its errors look: ``{message, code, errors}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import Depends, Security
from fastapi.security import HTTPBearer

from families.exchange.catalog.records import REALM
from ingest_api import problems
from ingest_api.http import Response
from ingest_api.management.dependencies import Authorization, TheGateway
from schemas.model.access import Client, ClientLevel, KeyUse, Role
from schemas.model.errors import NotFound, PermissionDenied, Unauthenticated

if TYPE_CHECKING:
    from ingest_api.authentication import Authenticator
    from ingest_api.gateway import Gateway
    from schemas.model.errors import HeadraceError

SECURITY_SCHEME = "exchangeKey"

KEY = HTTPBearer(scheme_name=SECURITY_SCHEME, auto_error=False)
"""Only declares the scheme in the OpenAPI document."""


async def holder(authenticator: Authenticator, authorization: bytes | None) -> Client:
    """The client of an Exchange authentication key of any level.

    Raises:
        Unauthenticated: there is no key, or it is not known to Exchange.
        PermissionDenied: it is an ``eventAuthKey``.
    """
    try:
        return await authenticator.by_bearer_key(authorization, REALM)
    except Unauthenticated:
        await authenticator.by_bearer_key(authorization, REALM, KeyUse.BROWSER)
    raise PermissionDenied("An eventAuthKey is only good for /v1/customEvent.")


async def browser(authenticator: Authenticator, authorization: bytes | None) -> Client:
    """The endpoint of an ``eventAuthKey``, which browsers publish with.

    Raises:
        Unauthenticated: there is no key, or it is not known to Exchange.
        PermissionDenied: it is an authentication key.
    """
    try:
        return await authenticator.by_bearer_key(authorization, REALM, KeyUse.BROWSER)
    except Unauthenticated:
        await authenticator.by_bearer_key(authorization, REALM)
    raise PermissionDenied("This needs the eventAuthKey of the endpoint, not its authentication key.")


async def endpoint_holder(authenticator: Authenticator, authorization: bytes | None) -> Client:
    """The client of an endpoint-level authentication key: the Exchange endpoint itself.

    Raises:
        Unauthenticated: there is no key, or it is not known to Exchange.
        PermissionDenied: it is an account-level or application-level key.
    """
    client = await holder(authenticator, authorization)
    if client.level is not ClientLevel.ENDPOINT:
        raise PermissionDenied(f"This needs an endpoint-level key; the key is {client.level.value}-level.")
    return client


async def _holder(
    gateway: TheGateway, authorization: Authorization, _scheme: Annotated[object, Security(KEY)]
) -> Client:
    return await holder(gateway.authenticator, authorization)


async def _endpoint(
    gateway: TheGateway, authorization: Authorization, _scheme: Annotated[object, Security(KEY)]
) -> Client:
    return await endpoint_holder(gateway.authenticator, authorization)


async def source(gateway: Gateway, endpoint: Client) -> Client:
    """The endpoint, if it publishes.

    Raises:
        PermissionDenied: it does not.
    """
    if Role.PRODUCER not in endpoint.roles:
        # It may have been registered so a moment ago elsewhere.
        endpoint = (await gateway.view()).client(endpoint.workspace, endpoint.id) or endpoint
    if Role.PRODUCER not in endpoint.roles:
        raise PermissionDenied("This endpoint is not registered as a source of events.")
    return endpoint


def may_see(caller: Client, endpoint: Client) -> bool:
    """Whether a key's holder may see and change an endpoint of its account."""
    return caller.level is ClientLevel.ACCOUNT or caller.id in (endpoint.id, endpoint.application)


async def endpoint_of(gateway: Gateway, caller: Client, endpoint_id: str) -> Client:
    """An endpoint of the caller's account by its id.

    Raises:
        NotFound: the account has none with this id.
        PermissionDenied: it is another endpoint's, or another application's.
    """
    found = (await gateway.view()).client(caller.workspace, endpoint_id)
    if found is None or not is_endpoint(found):
        raise NotFound(f"There is no endpoint {endpoint_id}.")
    if not may_see(caller, found):
        raise PermissionDenied("The key is another endpoint's.")
    return found


def is_endpoint(client: Client) -> bool:
    """Whether a client is an Exchange endpoint."""
    return client.realm == REALM and client.level is ClientLevel.ENDPOINT


KeyHolder = Annotated[Client, Depends(_holder)]
"""A route's parameter: the client of a key of any level."""

ExchangeEndpoint = Annotated[Client, Depends(_endpoint)]
"""A route's parameter: the Exchange endpoint that the key belongs to; keys of other levels are refused with 403."""


class _Error(msgspec.Struct, frozen=True):
    """``code`` is the HTTP status; ``errors`` names every place found, and may be empty."""

    message: str
    code: int
    errors: tuple[dict[str, str], ...] = ()


def render(error: HeadraceError) -> Response:
    """An error as clients of the document know it: they look for ``message``."""
    about = problems.document(error)
    places = tuple({"path": one.path, "message": one.message} for one in problems.problems_of(error))
    content = _Error(about["detail"], about["status"], places)
    return Response(content.code, msgspec.json.encode(content), headers=problems.headers_of(error))
