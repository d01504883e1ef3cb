"""Who calls the Exchange API, by the level of the key, and how its errors look: ``{message, code, errors}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import Depends, Security
from fastapi.security import HTTPBearer

from ingest_api import problems
from ingest_api.control.dependencies import Authorization, TheGateway
from ingest_api.wire import Response
from schemas.access import Client, ClientLevel, Realm
from schemas.errors import PermissionDenied

if TYPE_CHECKING:
    from ingest_api.authentication import Authenticator
    from schemas.errors import HeadraceError

SECURITY_SCHEME = "exchangeKey"

_KEY = HTTPBearer(scheme_name=SECURITY_SCHEME, auto_error=False)
"""Only declares the scheme in the OpenAPI document."""


async def holder(authenticator: Authenticator, authorization: bytes | None) -> Client:
    """The client of an Exchange authentication key of any level.

    Raises:
        Unauthenticated: there is no key, or it is not known to Exchange.
    """
    return await authenticator.by_bearer_key(authorization, Realm.EXCHANGE)


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
    gateway: TheGateway, authorization: Authorization, _scheme: Annotated[object, Security(_KEY)]
) -> Client:
    return await holder(gateway.authenticator, authorization)


async def _endpoint(
    gateway: TheGateway, authorization: Authorization, _scheme: Annotated[object, Security(_KEY)]
) -> Client:
    return await endpoint_holder(gateway.authenticator, authorization)


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
