"""Endpoints: where events go."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from backbone.endpoint_states import EndpointStatus
from families.headrace.http.endpoint_models import (
    DROPPED,
    ChangedEndpoint,
    EndpointChange,
    EndpointInput,
    EndpointWithState,
    NewEndpointInput,
    NewEndpointOutput,
    RotationInput,
)
from families.headrace.http.rate_limits import stored_limit
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import (
    Caller,
    RepeatKey,
    SubscribersReadable,
    TheGateway,
    Workspace,
    existing,
    owned,
)
from ingest_api.management.pages import Cursor, Limit, Page, encode_model, page_answer
from schemas.avro.attributes import member
from schemas.model.access import Client
from schemas.model.channels import TEMPLATE
from schemas.model.endpoint import OWNER, Authorization, Endpoint, EndpointType, NameValue
from schemas.model.errors import InvalidRequest, Problem
from schemas.security.permissions import Operation, check, owner_for, owner_in

WERE_DROPPED = "Events that were accepted while the endpoint was disabled were dropped for it and are not delivered."

router = APIRouter(tags=["Endpoints, filters and subscriptions"])


@router.get("/endpoints", summary="List endpoints", response_model=Page[EndpointWithState])
async def list_endpoints(
    gateway: TheGateway,
    readable: SubscribersReadable,
    limit: Limit = 100,
    cursor: Cursor = None,
    status: Annotated[EndpointStatus | None, Query(description="Only those with this `state.status`.")] = None,
) -> Response:
    """One's own; for viewers and operators, those of the workspace."""
    found = readable.endpoints()
    states = await gateway.endpoint_states()
    if status is not None:
        found = [one for one in found if states.standing(one).status is status]

    def encode(one: Endpoint) -> bytes:
        return encode_model(EndpointWithState.of(one, states))

    return await page_answer(gateway.slices, "endpoints", encode, found, limit, cursor)


@router.post("/endpoints", status_code=201, summary="Create an endpoint")
async def create_endpoint(
    gateway: TheGateway, caller: Caller, workspace: Workspace, body: NewEndpointInput, key: RepeatKey = None
) -> NewEndpointOutput:
    """With a signing secret that is shown this once."""
    check(caller, Operation.CHANGE_ROUTES)
    _check_for_webhooks(body, body.type)
    _check_secret(body.signing_secret, body.type)
    _check_options(body.options, body.type, workspace, kept={})
    members = _stored(body.model_dump(exclude={"signing_secret"}))
    owner, repeated = owner_in(workspace, caller), None if key is None else (caller.unique_id, key)
    wanted = Endpoint(id="", workspace=workspace, client=owner, created_at=0, updated_at=0, **members)
    endpoint, secret = await gateway.routes.create_endpoint(wanted, signing_secret=body.signing_secret, key=repeated)
    return NewEndpointOutput.model_validate(endpoint).model_copy(update={"signing_secret": secret})


@router.get("/endpoints/{endpoint_id}", summary="Get an endpoint")
async def get_endpoint(gateway: TheGateway, readable: SubscribersReadable, endpoint_id: str) -> EndpointWithState:
    """One's own, or any of the workspace for viewers and operators."""
    found = existing(readable.endpoint(endpoint_id), f"endpoint {endpoint_id}")
    return EndpointWithState.of(found, await gateway.endpoint_states())


@router.patch("/endpoints/{endpoint_id}", summary="Change an endpoint")
async def change_endpoint(
    gateway: TheGateway, caller: Caller, workspace: Workspace, endpoint_id: str, body: EndpointChange
) -> ChangedEndpoint:
    """Only the members sent change.

    While an endpoint is disabled, events that are accepted are dropped for it and deliveries that wait are cancelled;
    enabling it does not bring them back. The answer's `warnings` says so.

    An endpoint that answered 410 Gone gets nothing more, and one that asked for a pause (`Retry-After`) nothing until
    its end (`GET` shows either as `state`), unless it is changed after that; `enabled: true` is a change for any.

    Where the scheme, host or port of the URL changes, `authorization` and secret headers are to be given again.
    """
    found = await changeable_endpoint(gateway, caller, workspace, endpoint_id)
    kind = body.type if "type" in body.model_fields_set else found.type
    _check_for_webhooks(body, kind)
    _check_options(body.options, kind, workspace, kept=found.options)
    members = _stored(body.model_dump(exclude_unset=True))
    changed = await gateway.routes.update_endpoint(workspace, found.id, **members)
    warnings: tuple[str, ...] = () if changed.enabled else (DROPPED,)
    if changed.enabled and not found.enabled:
        warnings = (WERE_DROPPED,)
    return ChangedEndpoint.model_validate(changed).model_copy(update={"warnings": warnings})


@router.post("/endpoints/{endpoint_id}/rotate-secret", summary="Give an endpoint a new signing secret")
async def rotate_secret(
    gateway: TheGateway, caller: Caller, workspace: Workspace, endpoint_id: str, body: RotationInput | None = None
) -> NewEndpointOutput:
    """The secrets of before sign along for `overlap` seconds, so that the receiver can change over.

    Each message has a signature for each secret; `signing_secrets` says until when. Without a body a secret is made,
    and the overlap is a day. An overlap of 0 ends all others at once.
    """
    asked = RotationInput() if body is None else body
    found = await changeable_endpoint(gateway, caller, workspace, endpoint_id)
    _check_secret(asked.signing_secret, found.type)
    endpoint, secret = await gateway.routes.rotate_secret(
        workspace, found.id, signing_secret=asked.signing_secret, overlap=asked.overlap
    )
    return NewEndpointOutput.model_validate(endpoint).model_copy(update={"signing_secret": secret})


@router.delete("/endpoints/{endpoint_id}", status_code=204, summary="Delete an endpoint")
async def delete_endpoint(gateway: TheGateway, caller: Caller, workspace: Workspace, endpoint_id: str) -> None:
    """Its subscriptions go with it."""
    found = await changeable_endpoint(gateway, caller, workspace, endpoint_id)
    await gateway.routes.delete_endpoint(workspace, found.id)


async def changeable_endpoint(gateway: Gateway, caller: Client, workspace: str, endpoint_id: str) -> Endpoint:
    """An endpoint that the caller may change.

    Raises:
        PermissionDenied: it may change none.
        NotFound: there is no such endpoint that it may change.
    """
    owner = owner_for(caller, Operation.CHANGE_ROUTES)
    found = (await gateway.view()).endpoint_called(workspace, endpoint_id)
    return owned(found, f"endpoint {endpoint_id}", workspace=workspace, owner=owner)


def _check_for_webhooks(body: EndpointInput, kind: EndpointType) -> None:
    """Refuse what only a webhook has: credentials of an endpoint that requests nothing would be sent nowhere."""
    if kind is EndpointType.WEB_HOOK:
        return
    given = [name for name in ("url", "headers", "authorization", "rate_limit") if getattr(body, name)]
    if given:
        places = [Problem(path=f"$.{name}", message=f"is for webhooks, not for {kind.value}") for name in given]
        raise InvalidRequest("The endpoint is not valid.", places)


def _check_secret(given: str | None, kind: EndpointType) -> None:
    if given is not None and kind is not EndpointType.WEB_HOOK:
        place = Problem(path="$.signing_secret", message=f"is for webhooks, not for {kind.value}")
        raise InvalidRequest("The endpoint is not valid.", [place])


def _check_options(given: dict[str, str], kind: EndpointType, workspace: str, *, kept: dict[str, str]) -> None:
    """Refuse options that an endpoint of this type does not have; those that another family gave it may be repeated."""
    known = _OPTIONS.get(kind)
    unknown = [name for name in given if name not in kept and name != known]
    message = f"is no option of a {kind.value}; there is {TEMPLATE}, for a {EndpointType.WEB_SOCKET.value}"
    places = [Problem(path=member("$.options", name), message=message) for name in unknown]
    if given.get(OWNER, workspace) != workspace:
        places.append(Problem(path=f"$.options.{OWNER}", message="must be the name of the endpoint's workspace"))
    if places:
        raise InvalidRequest("The endpoint is not valid.", places)


_OPTIONS = {EndpointType.WEB_SOCKET: TEMPLATE, EndpointType.WEB_HOOK: OWNER}
"""The option that endpoints of a type have."""


def _stored(members: dict[str, Any]) -> dict[str, Any]:
    """The members as the catalog takes them."""
    if "body" in members:
        members["body"] = str(members["body"])
    if members.get("authorization") is not None:
        given = dict(members["authorization"])
        parameters = tuple(NameValue(name=name, value=value) for name, value in given.pop("parameters", {}).items())
        members["authorization"] = Authorization(**given, parameters=parameters)
    if members.get("rate_limit") is not None:
        members["rate_limit"] = stored_limit(**members["rate_limit"])
    return members
