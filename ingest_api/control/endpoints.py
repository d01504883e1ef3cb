"""Endpoints: where events go."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from backbone.catalog.authorizations import is_secret_header
from backbone.endpoint_states import EndpointStateView, EndpointStatus
from ingest_api.control.dependencies import (
    Caller,
    RepeatKey,
    SubscribersReadable,
    TheGateway,
    Workspace,
    existing,
    owned,
)
from ingest_api.control.models import Change, Input, Name, Output, Time, example
from ingest_api.control.pages import Cursor, Limit, Page, page_of
from ingest_api.state import Gateway
from schemas.access import Client
from schemas.attributes import member
from schemas.channels import TEMPLATE
from schemas.errors import InvalidRequest, Problem
from schemas.organisation import OWNER
from schemas.permissions import Operation, check, owner_for
from schemas.subscription import HIDDEN, Authorization, AuthorizationType, BodyFormat, Endpoint, EndpointType
from schemas.topics import SHORTEST_DELAY

DROPPED = (
    "The endpoint is disabled. Events that are accepted meanwhile are dropped for it and deliveries that wait are "
    "cancelled; enabling it does not bring them back."
)
WERE_DROPPED = "Events that were accepted while the endpoint was disabled were dropped for it and are not delivered."

LONGEST_DELAY = 14 * 86_400
"""Seconds between two attempts: a delivery is kept no longer."""


_CREDENTIALS = re.compile(r"(^https?://)[^/?#]*@", re.IGNORECASE)
"""In a URL, behind its scheme."""


def _without_credentials(url: str) -> str:
    """A URL is kept and shown as it is: a password in it would be, too."""
    if _CREDENTIALS.match(url):
        raise PydanticCustomError("url", "must not have credentials: give them as authorization")
    return url


Shown = Annotated[str, AfterValidator(lambda text: _CREDENTIALS.sub(rf"\1{HIDDEN}@", text))]
"""A text that may be a URL: those of other families' endpoints may have credentials."""

_ABSOLUTE = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/]+"
Url = Annotated[str, Field(max_length=2_000, pattern=_ABSOLUTE), AfterValidator(_without_credentials)]

_SCHEDULE = (
    f"Seconds before the second, third, … attempt, {SHORTEST_DELAY} at least; up to a fifth is taken off at random, "
    f"then it is rounded up to a multiple of {SHORTEST_DELAY}. null: the gateway's schedule."
)

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

router = APIRouter(tags=["Endpoints, filters and subscriptions"])


class AuthorizationInput(Input):
    """The credentials that requests to an endpoint carry; secrets are never shown again.

    `api_key` sends `secret` as bearer, `basic` sends `user` and `secret`. `client_credentials` and `refresh_token` get
    an access token from `token_url` (OAuth 2.0), for the client `user` with `secret`.
    """

    type: AuthorizationType
    user: Annotated[str, Field(max_length=1_000)] | None = None
    secret: Annotated[str, Field(max_length=10_000)] | None = None
    refresh_token: Annotated[str, Field(max_length=10_000)] | None = None
    token_url: Url | None = None


class AuthorizationOutput(BaseModel):
    """What may be shown of an endpoint's credentials."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    type: AuthorizationType
    user: str | None
    token_url: Shown | None


class EndpointInput(Input):
    """An endpoint to create."""

    model_config = example(name="Offers", url="https://example.com/offers", headers={"X-Team": "sales"}, timeout=10)

    name: Name
    type: EndpointType = EndpointType.WEB_HOOK
    description: str = ""
    url: Url | None = None
    method: Annotated[str, Field(pattern="^(POST|PUT|PATCH|GET|DELETE)$")] = "POST"
    headers: Annotated[
        dict[str, str],
        Field(description=f"Those that look like a secret are kept encrypted; `{HIDDEN}` leaves one as it is."),
    ] = Field(default_factory=dict)
    body: BodyFormat = BodyFormat.CLOUDEVENTS
    retry_schedule: Annotated[
        tuple[Annotated[float, Field(ge=SHORTEST_DELAY, le=LONGEST_DELAY)], ...] | None,
        Field(max_length=30, description=_SCHEDULE),
    ] = None
    timeout: Annotated[float, Field(gt=0, le=300, description="Seconds.")] | None = None
    max_in_flight: Annotated[int, Field(ge=1, le=1_000)] = 16
    authorization: AuthorizationInput | None = None
    enabled: bool = True
    options: Annotated[
        dict[str, str],
        Field(
            description=f"`{TEMPLATE}`, for a `WEB_SOCKET`: the template of its channels. `{OWNER}`, for a `WEB_HOOK`: "
            "the workspace's name, for one that goes when the Envoy organisation is deprovisioned. Others are refused."
        ),
    ] = Field(default_factory=dict)

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if _HEADER_NAME.fullmatch(name) is None or _CONTROL.search(value):
                raise ValueError(f"{name!r} is no header that can be sent (RFC 9110)")
        return headers


class EndpointChange(Change, EndpointInput):
    """What of an endpoint shall change."""

    model_config = example(max_in_flight=4)

    name: Name = ""


class EndpointOutput(Output):
    """Where events go."""

    id: str
    name: str
    type: EndpointType
    description: str
    url: Shown | None
    method: str
    headers: Annotated[
        dict[str, str],
        Field(validation_alias="shown_headers", description="Values of headers that look like a secret are not shown."),
    ]
    body: BodyFormat
    retry_schedule: tuple[float, ...] | None
    timeout: float | None
    max_in_flight: int
    authorization: Annotated[AuthorizationOutput | None, Field(description="Without its secrets.")]
    enabled: bool
    options: dict[str, Shown]

    @field_validator("headers")
    @classmethod
    def _hide(cls, headers: dict[str, str]) -> dict[str, str]:
        return {name: HIDDEN if is_secret_header(name, value) else value for name, value in headers.items()}


class EndpointStateOutput(BaseModel):
    """Whether deliveries to an endpoint are tried (`enabled`), wait (`paused`) or are cancelled (`disabled`)."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    status: EndpointStatus
    reason: Annotated[str | None, Field(description="Why it is not `enabled`.")]
    since: Annotated[Time | None, Field(description="When a connector found it so; null where none did.")]
    until: Annotated[Time | None, Field(description="When the pause ends.")]


class EndpointWithState(EndpointOutput):
    """Where events go, and whether they do now.

    `enabled` is what was set. `state` is what holds: an endpoint that answered 410 Gone is `disabled` too, and one that
    answered 429 or 503 with `Retry-After` is `paused`. Any change of the endpoint ends both, `enabled: true` included.
    """

    state: EndpointStateOutput
    warnings: Annotated[tuple[str, ...], Field(description="What becomes of events while it is disabled.")] = ()

    @classmethod
    def of(cls, endpoint: Endpoint, states: EndpointStateView) -> EndpointWithState:
        """The endpoint as it stands."""
        members = msgspec.structs.asdict(endpoint)
        state = states.standing(endpoint)
        members |= {"shown_headers": endpoint.shown_headers, "state": state}
        members["warnings"] = [DROPPED] if state.status is EndpointStatus.DISABLED else []
        return cls.model_validate(members)


class ChangedEndpoint(EndpointOutput):
    """An endpoint after a change."""

    warnings: Annotated[tuple[str, ...], Field(description="What becomes of events while it is disabled.")] = ()


class NewEndpointOutput(EndpointOutput):
    """An endpoint that was just made, or given a new secret."""

    signing_secret: Annotated[
        str | None, Field(description="Standard Webhooks secret, shown this once; null when it was made before.")
    ] = None


@router.get("/endpoints", summary="List endpoints")
async def list_endpoints(
    gateway: TheGateway,
    readable: SubscribersReadable,
    limit: Limit = 100,
    cursor: Cursor = None,
    status: Annotated[EndpointStatus | None, Query(description="Only those with this `state.status`.")] = None,
) -> Page[EndpointWithState]:
    """One's own; for viewers and operators, those of the workspace."""
    found = readable.endpoints()
    states = await gateway.endpoint_states()
    if status is not None:
        found = [one for one in found if states.standing(one).status is status]
    page, following = page_of(found, limit, cursor)
    return Page(items=[EndpointWithState.of(one, states) for one in page], next_cursor=following)


@router.post("/endpoints", status_code=201, summary="Create an endpoint")
async def create_endpoint(
    gateway: TheGateway, caller: Caller, workspace: Workspace, body: EndpointInput, key: RepeatKey = None
) -> NewEndpointOutput:
    """With a signing secret that is shown this once."""
    check(caller, Operation.CHANGE_ROUTES)
    _check_for_webhooks(body, body.type)
    _check_options(body.options, body.type, workspace, kept={})
    members = _stored(body.model_dump())
    wanted = Endpoint(id="", workspace=workspace, client=caller.id, created_at=0, updated_at=0, **members)
    endpoint, secret = await gateway.routes.create_endpoint(wanted, key=key)
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
    found = await _endpoint(gateway, caller, workspace, endpoint_id)
    kind = body.type if "type" in body.model_fields_set else found.type
    _check_for_webhooks(body, kind)
    _check_options(body.options, kind, workspace, kept=found.options)
    members = _stored(body.model_dump(exclude_unset=True))
    changed = await gateway.routes.update_endpoint(workspace, endpoint_id, **members)
    warnings: tuple[str, ...] = () if changed.enabled else (DROPPED,)
    if changed.enabled and not found.enabled:
        warnings = (WERE_DROPPED,)
    return ChangedEndpoint.model_validate(changed).model_copy(update={"warnings": warnings})


@router.post("/endpoints/{endpoint_id}/rotate-secret", summary="Give an endpoint a new signing secret")
async def rotate_secret(
    gateway: TheGateway, caller: Caller, workspace: Workspace, endpoint_id: str
) -> NewEndpointOutput:
    """Messages are signed with the new and the previous secret, so that the receiver can change over."""
    await _endpoint(gateway, caller, workspace, endpoint_id)
    endpoint, secret = await gateway.routes.rotate_secret(workspace, endpoint_id)
    return NewEndpointOutput.model_validate(endpoint).model_copy(update={"signing_secret": secret})


@router.delete("/endpoints/{endpoint_id}", status_code=204, summary="Delete an endpoint")
async def delete_endpoint(gateway: TheGateway, caller: Caller, workspace: Workspace, endpoint_id: str) -> None:
    """Its subscriptions go with it."""
    await _endpoint(gateway, caller, workspace, endpoint_id)
    await gateway.routes.delete_endpoint(workspace, endpoint_id)


async def _endpoint(gateway: Gateway, caller: Client, workspace: str, endpoint_id: str) -> Endpoint:
    owner = owner_for(caller, Operation.CHANGE_ROUTES)
    found = (await gateway.view()).endpoint(endpoint_id)
    return owned(found, f"endpoint {endpoint_id}", workspace=workspace, owner=owner)


def _check_for_webhooks(body: EndpointInput, kind: EndpointType) -> None:
    """Refuse what only a webhook has: credentials of an endpoint that requests nothing would be sent nowhere."""
    if kind is EndpointType.WEB_HOOK:
        return
    given = [name for name in ("url", "headers", "authorization") if getattr(body, name)]
    if given:
        places = [Problem(path=f"$.{name}", message=f"is for webhooks, not for {kind.value}") for name in given]
        raise InvalidRequest("The endpoint is not valid.", places)


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
    if members.get("authorization") is not None:
        members["authorization"] = Authorization(**members["authorization"])
    return members
