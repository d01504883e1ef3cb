"""``PUT`` and ``DELETE /v1/subscription/notification``: where an endpoint is told of changed subscriptions."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from backbone.catalog import endpoint_credentials
from families.exchange.http.access import ExchangeEndpoint
from families.exchange.http.endpoint_models import Url
from families.exchange.http.openapi import ERRORS, NOT_FOUND, WITH_BODY
from families.exchange.http.services import notifications_of
from ingest_api.management.dependencies import TheGateway
from ingest_api.management.models import example
from schemas.model.endpoint import Authorization, AuthorizationType
from schemas.model.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from schemas.security.destinations import Destinations

NOTIFICATION = "/v1/subscription/notification"

router = APIRouter(tags=["Exchange subscription notifications"], responses=ERRORS)

Secret = Annotated[str | None, Field(max_length=10_000)]


class AuthType(StrEnum):
    """How notifications are authorised: with a bearer key, HTTP Basic, or an access token for a refresh token."""

    API_KEY = "APIKey"
    BASIC = "Basic"
    OAUTH = "OAuth"
    OAUTH_REFRESH_TOKEN_ONLY = "OAuthRefreshTokenOnly"  # noqa: S105  # a kind, not a secret


class AuthenticationInput(BaseModel):
    """The members that belong to the ``authType`` are required; others are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    authType: AuthType  # noqa: N815  # these names are the document's
    APIKey: Secret = None
    userId: Secret = None  # noqa: N815
    password: Secret = None
    authURL: Url | None = None  # noqa: N815
    clientID: Secret = None  # noqa: N815
    clientSecret: Secret = None  # noqa: N815
    refreshToken: Secret = None  # noqa: N815
    supplierKey: Secret = None  # noqa: N815


_OAUTH = {"refresh_token": "refreshToken", "token_url": "authURL"}

_MEMBERS: dict[AuthType, tuple[AuthorizationType, dict[str, str]]] = {
    AuthType.API_KEY: (AuthorizationType.API_KEY, {"secret": "APIKey"}),
    AuthType.BASIC: (AuthorizationType.BASIC, {"user": "userId", "secret": "password"}),
    AuthType.OAUTH: (AuthorizationType.REFRESH_TOKEN, {"user": "clientID", "secret": "clientSecret", **_OAUTH}),
    # The document's provider knows a client by its supplier key; here it stands for the client itself.
    AuthType.OAUTH_REFRESH_TOKEN_ONLY: (AuthorizationType.REFRESH_TOKEN, {"user": "supplierKey", **_OAUTH}),
}
"""What each is in the common model, whose members are called otherwise."""


class NotificationInput(BaseModel):
    """Where to tell, and with which credentials."""

    model_config = ConfigDict(
        frozen=True,
        populate_by_name=True,
        alias_generator=to_camel,
        extra="forbid",
        **example(
            notificationKey="account 7",
            notificationURL="https://example.com/changes",
            authentication={"authType": "APIKey", "APIKey": "a key of the receiver"},
        ),
    )

    notification_key: Annotated[
        str | None, Field(max_length=1_000, description="Any text; it goes with every notification.")
    ] = None
    notification_url: Annotated[Url, Field(alias="notificationURL")]
    authentication: AuthenticationInput | None = None


class NotificationOutput(BaseModel):
    """What is registered, without secrets."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, alias_generator=to_camel)

    notification_key: str | None
    notification_url: Annotated[str, Field(alias="notificationURL")]
    auth_type: AuthType | None


@router.put(
    NOTIFICATION,
    summary="Be told of changed subscriptions",
    responses=WITH_BODY,
    response_model_exclude_none=True,
)
async def put_notification(
    gateway: TheGateway, endpoint: ExchangeEndpoint, body: NotificationInput
) -> NotificationOutput:
    """Of subscriptions to what this endpoint publishes, and of its own. What was registered before is replaced."""
    said = body.authentication
    credentials = None if said is None else _authorization(said, gateway.writer.destinations)
    await gateway.in_time(
        notifications_of(gateway).put(endpoint, body.notification_url, body.notification_key, credentials)
    )
    return NotificationOutput(
        notification_key=body.notification_key,
        notification_url=body.notification_url,
        auth_type=None if said is None else said.authType,
    )


@router.delete(NOTIFICATION, summary="Be told no more", responses=NOT_FOUND)
async def delete_notification(gateway: TheGateway, endpoint: ExchangeEndpoint) -> bool:
    """Notifications that wait to be sent again are not sent any more either."""
    await gateway.in_time(notifications_of(gateway).delete(endpoint))
    return True


def _authorization(said: AuthenticationInput, destinations: Destinations) -> Authorization:
    kind, members = _MEMBERS[said.authType]
    missing = [name for name in members.values() if not getattr(said, name)]
    places = [Problem(path=_path(name), message=f"is required for {said.authType.value}") for name in missing]
    # A token URL beside another type's credentials is no credential: it changes nothing, and is taken.
    others = {name for name, value in said if value is not None} - {"authType", "authURL", *members.values()}
    places += [
        Problem(path=_path(name), message=f"does not belong to {said.authType.value}") for name in sorted(others)
    ]
    authorization = Authorization(type=kind, **{ours: getattr(said, theirs) for ours, theirs in members.items()})
    if not places:
        found = endpoint_credentials.problems(authorization, destinations, "")
        places = [Problem(path=_path(members[each.path[1:]]), message=each.message) for each in found]
    if places:
        raise InvalidRequest("The notification cannot be registered.", places)
    return authorization


def _path(member: str) -> str:
    return f"$.authentication.{member}"
