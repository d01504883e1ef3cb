"""What the routes of the control app ask for: the gateway, the caller, the workspace it acts in."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import Depends, Header, Query, Request, Security
from fastapi.security import HTTPBearer

from backbone.catalog.readable import ReadableCatalog
from ingest_api.authentication import bearer
from ingest_api.gateway import Gateway
from ingest_api.http import LARGE, MAX_KEY_LENGTH
from ingest_api.management.many_problems import refuse_many_problems
from ingest_api.text import check_body
from schemas.model import numbers
from schemas.model.access import ApiKey, Client, Role
from schemas.model.endpoint import Endpoint, EventFilter
from schemas.model.errors import MOST_PROBLEMS, InvalidRequest, NotFound, Problem
from schemas.model.resources import Resource
from schemas.security.permissions import require
from schemas.security.reading import READERS, ReadScope, check_has_a_role

Owned = TypeVar("Owned", Endpoint, EventFilter)
Found = TypeVar("Found", bound=Resource)

_API_KEY = HTTPBearer(scheme_name="apiKey", auto_error=False)
"""Only declares the scheme in the OpenAPI document: the authenticator reads the header."""


def gateway_of(request: Request) -> Gateway:
    """The gateway of this worker."""
    gateway: Gateway = request.app.state.gateway
    return gateway


def authorization_of(request: Request) -> bytes | None:
    """The ``Authorization`` header as it came."""
    text = request.headers.get("authorization")
    return None if text is None else text.encode("latin-1")


def host_of(request: Request) -> str | None:
    """The ``Host`` header as it came."""
    return request.headers.get("host")


async def check_text(request: Request) -> None:
    """Refuse a body that is not UTF-8 text of whole characters, or has a number that is too long for readers.

    Raises:
        MalformedBody: it is not.
        InvalidRequest: it has such a number.
        RequestValidationError: it has more wrong values than can be told.
    """
    body = await request.body()
    await take_turn(request, body)
    check_body(body)
    check_digits(body)
    if body.count(b",") > MOST_PROBLEMS:
        await refuse_many_problems(request)
        await take_turn(request, body)


async def take_turn(request: Request, body: bytes) -> None:
    """Let others have their turn between two parts of the work on a large body."""
    if len(body) > LARGE or body.count(b",") > MOST_PROBLEMS:
        await gateway_of(request).slices.turn()


def check_digits(body: bytes) -> None:
    """Refuse JSON with a number that has more digits than Python's readers take.

    Raises:
        InvalidRequest: it has one.
    """
    if numbers.has_too_many_digits(body):
        raise InvalidRequest("The request is not valid.", [Problem(path="$", message=numbers.TOO_LONG)])


RepeatKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=MAX_KEY_LENGTH,
        description="A repeat with the same key creates nothing and gets what the first call created.",
    ),
]

TheGateway = Annotated[Gateway, Depends(gateway_of)]
Authorization = Annotated[bytes | None, Depends(authorization_of)]
Host = Annotated[str | None, Depends(host_of)]


async def key_of(gateway: TheGateway, authorization: Authorization) -> ApiKey | None:
    """The API key that a call was made with, itself or through a token that was got with it.

    Raises:
        Unauthenticated: there is no credential, or a token that is not genuine.
    """
    return None if authorization is None else gateway.authenticator.key_behind(bearer(authorization))


Key = Annotated[ApiKey | None, Depends(key_of)]
"""A route's parameter, after the one that authenticates: what the call gets lasts no longer than this key."""


async def caller_of(
    gateway: TheGateway, authorization: Authorization, _scheme: Annotated[object, Security(_API_KEY)]
) -> Client:
    """The client of the API key.

    Raises:
        Unauthenticated: there is none.
        PermissionDenied: it has no role.
    """
    client = await gateway.authenticator.by_bearer_key(authorization)
    check_has_a_role(client)
    return client


Caller = Annotated[Client, Depends(caller_of)]


async def workspace_of(
    gateway: TheGateway,
    caller: Caller,
    workspace: Annotated[str | None, Query(description="Administrators may act in any workspace.")] = None,
) -> str:
    """The name of the workspace that the call is about: the caller's own unless an administrator names another.

    Raises:
        PermissionDenied: it is not the caller's.
        NotFound: there is no such workspace.
    """
    return await gateway.workspace(caller, workspace)


Workspace = Annotated[str, Depends(workspace_of)]


async def scope_of(gateway: TheGateway, caller: Caller, workspace: Workspace) -> ReadScope:
    """What the caller may read of the ledger. It does not wait for Kafka, so that the ledger can be read without it.

    Raises:
        PermissionDenied: the caller has no role.
    """
    return gateway.read_scope(caller, workspace)


async def subscribers_scope_of(caller: Caller, scope: Annotated[ReadScope, Depends(scope_of)]) -> ReadScope:
    """The same, for routes that show what a producer alone has nothing of.

    Raises:
        PermissionDenied: the caller is a producer only.
    """
    require(caller, Role.SUBSCRIBER, *READERS)
    return scope


async def readable_of(gateway: TheGateway, caller: Caller, workspace: Workspace) -> ReadableCatalog:
    """What the caller may read of the catalog, brought up to date.

    Raises:
        PermissionDenied: the caller has no role.
    """
    return ReadableCatalog.of(await gateway.view(), caller, workspace)


async def subscribers_readable_of(
    caller: Caller, readable: Annotated[ReadableCatalog, Depends(readable_of)]
) -> ReadableCatalog:
    """The same, for routes that show what a producer alone has nothing of.

    Raises:
        PermissionDenied: the caller is a producer only.
    """
    require(caller, Role.SUBSCRIBER, *READERS)
    return readable


Scope = Annotated[ReadScope, Depends(scope_of)]
"""A route's parameter: what the caller may read of the ledger."""

SubscribersScope = Annotated[ReadScope, Depends(subscribers_scope_of)]
"""A route's parameter: the same, for a subscriber or whoever reads the workspace."""

Readable = Annotated[ReadableCatalog, Depends(readable_of)]
"""A route's parameter: what the caller may read of the catalog."""

SubscribersReadable = Annotated[ReadableCatalog, Depends(subscribers_readable_of)]
"""A route's parameter: the same, for a subscriber or whoever reads the workspace."""


def owned(found: Owned | None, what: str, *, workspace: str, owner: str | None) -> Owned:
    """What was found, if it is of the workspace and of the owner; None is any owner.

    Raises:
        NotFound: it is not, or nothing was found.
    """
    if found is None or found.workspace != workspace or owner not in (None, found.client):
        raise NotFound(f"There is no {what}.")
    return found


def existing(found: Found | None, what: str) -> Found:
    """What was found in the part of the catalog that the caller may read.

    Raises:
        NotFound: nothing was.
    """
    if found is None:
        raise NotFound(f"There is no {what}.")
    return found
