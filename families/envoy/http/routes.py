"""Envoy event streaming: tokens for its realtime channels, and provisioning, as its document prints them.

Beyond the document: ``POST`` does what ``GET`` does, for clients and proxies that send no body with a GET; a channel
can be named in the query too; provisioning takes the namespaces that shall be public.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from backbone.realtime_tokens import IssuerKey
from families.envoy.catalog.organisations import Organisations, is_provisioned, public_namespaces_of
from families.envoy.http.access import ERRORS, NO_STORE, EnvoyUser, check_may_manage, check_may_provision
from families.envoy.model import MAX_CHANNELS, Grants
from families.envoy.settings import EnvoySettings
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Key, TheGateway
from schemas.model.access import Client
from schemas.model.channels import MAX_LENGTH
from schemas.model.errors import InvalidRequest, PermissionDenied, Problem, Unauthenticated

LIFETIME = 3_600
"""Seconds from issue to expiry of both kinds of token."""

_LONGEST_NAMESPACE = 200
_METHODS = ("GET", "POST")

_Body = TypeVar("_Body")


class EnvoyTokenOutput(BaseModel):
    """A token for a client of the Centrifugo protocol: a JSON Web Token."""

    token: str


class OrganisationOutput(BaseModel):
    """Whether an organisation's events are streamed."""

    organisation: str
    provisioned: bool


class ProvisionedOutput(OrganisationOutput):
    """``public_namespaces`` are those whose channel needs no subscription token."""

    public_namespaces: list[str]


class DeprovisionedOutput(OrganisationOutput):
    """``webhooks_deleted`` counts the endpoints."""

    webhooks_deleted: int


class _Wanted(msgspec.Struct):
    channel: str | None = None


class _Options(msgspec.Struct, forbid_unknown_fields=True):
    public_namespaces: list[str] | None = None


def _body(properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema}}}}


_TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": _LONGEST_NAMESPACE}}
_CHANNEL_BODY = _body({"channel": {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH}})
_OPTIONS_BODY = _body({"public_namespaces": _TEXTS})


async def connection_token(gateway: TheGateway, user: EnvoyUser, key: Key = None) -> JSONResponse:
    """Whoever connects with it is subscribed to a channel for each scope of the access token.

    `<namespace>:read` gives `<namespace>:<organisation>`; `<namespace>:read:own` gives
    `<namespace>:<organisation>#<user>` only.
    """
    user, _ = await _provisioned(gateway, user)
    token, _ = gateway.realtime_tokens.issue_connection(
        user=user.id,
        workspace=user.workspace,
        issuer=user.id,
        lifetime=LIFETIME,
        key=IssuerKey.of(user, key),
        channels=Grants.of(user, gateway.settings_of(EnvoySettings)).automatic(user),
    )
    return _answer(EnvoyTokenOutput(token=token))


async def subscription_token(
    gateway: TheGateway,
    user: EnvoyUser,
    request: Request,
    channel: Annotated[str | None, Query(description="Instead of the body's member of that name.")] = None,
    key: Key = None,
) -> JSONResponse:
    """The body is `{"channel": "<namespace>:<organisation>#<user>"}`, with GET too; only private channels need one."""
    wanted = (await _read(request, _Wanted)).channel
    wanted = channel if wanted is None else wanted
    if not wanted or len(wanted) > MAX_LENGTH:
        place = Problem(path="$.channel", message=f"must have 1 to {MAX_LENGTH} characters")
        raise InvalidRequest("The request names no channel.", [place])
    user, public = await _provisioned(gateway, user)
    Grants.of(user, gateway.settings_of(EnvoySettings)).check(user, wanted, public)
    token, _ = gateway.realtime_tokens.issue_subscription(
        user=user.id,
        workspace=user.workspace,
        issuer=user.id,
        lifetime=LIFETIME,
        channel=wanted,
        key=IssuerKey.of(user, key),
    )
    return _answer(EnvoyTokenOutput(token=token))


async def provision(
    gateway: TheGateway,
    user: EnvoyUser,
    request: Request,
    public_namespaces: Annotated[
        list[str] | None, Query(description="Instead of the body's member of that name; repeat it for several.")
    ] = None,
) -> JSONResponse:
    """From now on the organisation's events are streamed. The same again changes nothing.

    The body may be `{"public_namespaces": [...]}`: every client of the organisation may then join their channel. This
    needs the scope of deprovisioning.
    """
    check_may_provision(user, gateway.settings_of(EnvoySettings))
    wanted = (await _read(request, _Options)).public_namespaces
    wanted = public_namespaces if wanted is None else wanted
    if wanted is not None:
        _check_namespaces(wanted)
        check_may_manage(user, gateway.settings_of(EnvoySettings))
    public = await gateway.in_time(Organisations(gateway.writer).provision(user.workspace, wanted))
    return _answer(ProvisionedOutput(organisation=user.workspace, provisioned=True, public_namespaces=list(public)))


async def deprovision(gateway: TheGateway, user: EnvoyUser) -> JSONResponse:
    """Streams end, connections are closed, tokens are refused. The same again is fine.

    Webhook endpoints that are the organisation's (`"options": {"organisation": …}`) are deleted, and no others.
    """
    check_may_manage(user, gateway.settings_of(EnvoySettings))
    gone = await gateway.in_time(Organisations(gateway.writer).deprovision(user.workspace))
    return _answer(DeprovisionedOutput(organisation=user.workspace, provisioned=False, webhooks_deleted=gone.webhooks))


def _answer(content: BaseModel) -> JSONResponse:
    return JSONResponse(content.model_dump(), headers={"cache-control": NO_STORE})


async def _provisioned(gateway: Gateway, user: Client) -> tuple[Client, tuple[str, ...]]:
    """The user with the scopes that it has now, as a token says them for an hour; its organisation's public namespaces.

    Raises:
        Unauthenticated: the user is gone, or was disabled.
        PermissionDenied: the organisation is not provisioned.
    """
    view = await gateway.view()
    if not is_provisioned(view, user.workspace):
        raise PermissionDenied("organisation not provisioned")
    found = view.client(user.workspace, user.id)
    if found is None or found.disabled or found.realm != user.realm:
        raise Unauthenticated("The credential is not known.")
    return found, public_namespaces_of(view, user.workspace)


def _check_namespaces(names: list[str]) -> None:
    if len(names) > MAX_CHANNELS or not all(0 < len(name) <= _LONGEST_NAMESPACE for name in names):
        message = f"must be at most {MAX_CHANNELS} texts of 1 to {_LONGEST_NAMESPACE} characters"
        raise InvalidRequest("The request is not valid.", [Problem(path="$.public_namespaces", message=message)])


async def _read(request: Request, kind: type[_Body]) -> _Body:
    """The body as JSON, whatever its media type says; nothing counts as an empty object.

    Raises:
        InvalidRequest: it is not JSON, or a member has the wrong type.
    """
    body = await request.body()
    try:
        return msgspec.json.decode(body.strip() or b"{}", type=kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        raise InvalidRequest(
            "The request is not valid.", [Problem(path=path.strip("`") or "$", message=message)]
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest("The body is not JSON.", [Problem(path="$", message=str(error))]) from error


def new_router() -> APIRouter:
    """All routes, each by GET and POST."""
    router = APIRouter(prefix="/events", tags=["Envoy event streaming"], responses=ERRORS)
    routes: tuple[tuple[str, Callable[..., Any], type[BaseModel], str, dict[str, Any]], ...] = (
        ("/connection_token", connection_token, EnvoyTokenOutput, "Get a token to connect with", {}),
        ("/subscription_token", subscription_token, EnvoyTokenOutput, "Get a token to join a channel", _CHANNEL_BODY),
        ("/provision", provision, ProvisionedOutput, "Provision event streaming for the organisation", _OPTIONS_BODY),
        ("/deprovision", deprovision, DeprovisionedOutput, "Deprovision event streaming for the organisation", {}),
    )
    for path, endpoint, answer, summary, body in routes:
        for method in _METHODS:
            router.add_api_route(
                path,
                endpoint,
                methods=[method],
                response_model=answer,
                summary=summary if method == "GET" else f"{summary} (alias)",
                # Documented for the alias only: what a body of a GET means is not HTTP's to say.
                openapi_extra=body if method == "POST" else None,
            )
    return router
