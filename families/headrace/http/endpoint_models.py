"""The bodies and answers of our own API that are about endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from backbone.catalog import signing_secrets
from backbone.catalog.endpoint_credentials import is_secret_header
from backbone.endpoint_states import EndpointStateView, EndpointStatus
from families.headrace.http.rate_limits import RateLimitInput, RateLimitOutput
from families.headrace.http.registered_names import BodyFormat, GivenBodyFormat
from ingest_api.management.models import Change, Input, Name, Output, Time, example
from schemas.model import request_headers, timestamps
from schemas.model.channels import TEMPLATE
from schemas.model.endpoint import (
    CLOUDEVENTS,
    HIDDEN,
    LONGEST_DELAY,
    LONGEST_SCHEDULE,
    MOST_TRIES,
    OWNER,
    AuthorizationType,
    Endpoint,
    EndpointType,
    NameValue,
)
from schemas.model.topics import SHORTEST_DELAY

DROPPED = (
    "The endpoint is disabled. Events that are accepted meanwhile are dropped for it and deliveries that wait are "
    "cancelled; enabling it does not bring them back."
)
LONGEST_SPAN = 366 * 86_400
"""Seconds of nothing but failures before an endpoint is disabled."""

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
OwnSecret = Annotated[
    Annotated[str, Field(max_length=200)] | None,
    Field(description="One that the receiver has already: `whsec_` and base64, of 24 to 64 bytes. null: one is made."),
]
Url = Annotated[str, Field(max_length=2_000, pattern=_ABSOLUTE), AfterValidator(_without_credentials)]

_SCHEDULE = (
    f"Seconds before the second, third, … try, {SHORTEST_DELAY} at least and {LONGEST_SCHEDULE // 86_400} days all "
    f"together; up to a fifth is added at random, and it is a multiple of {SHORTEST_DELAY}. Empty: one try. null: the "
    "gateway's schedule."
)

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class AuthorizationInput(Input):
    """The credentials that requests to an endpoint carry; secrets are never shown again.

    `api_key` sends `secret` as bearer, `basic` sends `user` and `secret`. `client_credentials` and `refresh_token` get
    an access token from `token_url` (OAuth 2.0), for the client `user` with `secret`; `scope`, `audience` and further
    `parameters` go with the request for it.
    """

    type: AuthorizationType
    user: Annotated[str, Field(max_length=1_000)] | None = None
    secret: Annotated[str, Field(max_length=10_000)] | None = None
    refresh_token: Annotated[str, Field(max_length=10_000)] | None = None
    token_url: Url | None = None
    scope: Annotated[str, Field(max_length=1_000)] | None = None
    audience: Annotated[str, Field(max_length=1_000)] | None = None
    parameters: Annotated[
        dict[str, str],
        Field(description="Such as `resource`. Those that look like a secret are kept encrypted and not shown."),
    ] = Field(default_factory=dict)


def _shown_parameters(parameters: Iterable[NameValue]) -> dict[str, str]:
    return {each.name: HIDDEN if each.sealed else each.value for each in parameters}


class AuthorizationOutput(BaseModel):
    """What may be shown of an endpoint's credentials."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    type: AuthorizationType
    user: str | None
    token_url: Shown | None
    scope: str | None
    audience: str | None
    parameters: Annotated[
        dict[str, str],
        BeforeValidator(_shown_parameters),
        Field(description="Values that look like a secret are not shown."),
    ]


class EndpointInput(Input):
    """An endpoint to create."""

    model_config = example(name="Offers", url="https://example.com/offers", headers={"X-Team": "sales"}, timeout=10)

    name: Name
    type: EndpointType = EndpointType.WEB_HOOK
    description: str = ""
    url: Url | None = None
    method: Annotated[str, Field(pattern="^(POST|PUT|PATCH)$", description="Of a `WEB_HOOK`'s requests.")] = "POST"
    headers: Annotated[
        dict[str, str],
        Field(
            description=f"Those that look like a secret are kept encrypted; `{HIDDEN}` leaves one as it is. Names and "
            f"values have {request_headers.MOST_BYTES:,} bytes at most together. Reserved: {request_headers.RESERVED}."
        ),
    ] = Field(default_factory=dict)
    body: GivenBodyFormat = BodyFormat(CLOUDEVENTS)
    retry_schedule: Annotated[
        tuple[Annotated[float, Field(ge=SHORTEST_DELAY, le=LONGEST_DELAY)], ...] | None,
        Field(max_length=MOST_TRIES - 1, description=_SCHEDULE),
    ] = None
    timeout: Annotated[float, Field(gt=0, le=300, description="Seconds.")] | None = None
    max_in_flight: Annotated[int, Field(ge=1, le=1_000, description="Most simultaneous requests to it.")] = 16
    rate_limit: Annotated[
        RateLimitInput | None, Field(description="For a `WEB_HOOK`. What is above it waits, in order. null: none.")
    ] = None
    disable_after: Annotated[
        float | None,
        Field(
            ge=0,
            le=LONGEST_SPAN,
            description="Seconds of nothing but failed attempts after which it is disabled. 0: never. null: the "
            "gateway's span.",
        ),
    ] = None
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
        if len(headers) > request_headers.MOST or request_headers.size(headers) > request_headers.MOST_BYTES:
            most = f"{request_headers.MOST_BYTES:,} bytes, names and values together"
            raise ValueError(f"there may be {request_headers.MOST}, with {most}")
        for name, value in headers.items():
            if _HEADER_NAME.fullmatch(name) is None or _CONTROL.search(value):
                raise ValueError(f"{name!r} is no header that can be sent (RFC 9110)")
            if request_headers.is_reserved(name):
                raise ValueError(f"{name} is reserved, as are {request_headers.RESERVED}")
        if len({name.lower() for name in headers}) < len(headers):
            raise ValueError("must not have one name in two spellings: headers have no case")
        return headers


class NewEndpointInput(EndpointInput):
    """An endpoint to create, with the signing secret that its receiver has already, if any."""

    signing_secret: OwnSecret = None


class EndpointChange(Change, EndpointInput):
    """What of an endpoint shall change."""

    model_config = example(max_in_flight=4)

    name: Name = ""


class RotationInput(Input):
    """How a signing secret is replaced."""

    model_config = example(overlap=3_600)

    signing_secret: OwnSecret = None
    overlap: Annotated[
        int,
        Field(ge=0, le=signing_secrets.LONGEST_OVERLAP, description="Seconds for which those of before sign along."),
    ] = signing_secrets.OVERLAP


class SecretOutput(BaseModel):
    """A secret that signs now, without the secret."""

    model_config = ConfigDict(frozen=True)

    expires_at: Annotated[Time | None, Field(description="null: it signs until it is rotated.")]


def _signing_now(expiries: Iterable[int | None]) -> list[SecretOutput]:
    now = timestamps.now()
    return [SecretOutput.model_validate({"expires_at": ends}) for ends in expiries if ends is None or ends > now]


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
    rate_limit: RateLimitOutput | None
    disable_after: float | None
    authorization: Annotated[AuthorizationOutput | None, Field(description="Without its secrets.")]
    signing_secrets: Annotated[
        tuple[SecretOutput, ...],
        BeforeValidator(_signing_now),
        Field(validation_alias="shown_secrets", description="Those that sign now, newest first, without the secrets."),
    ]
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
        members |= {"shown_headers": endpoint.shown_headers, "shown_secrets": endpoint.shown_secrets, "state": state}
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
