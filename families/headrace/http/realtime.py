"""Tokens for realtime clients: whoever may see a channel may let others in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from backbone.catalog.realtime_grants import lets_into
from backbone.realtime_tokens import IssuerKey
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Caller, Key, TheGateway, Workspace
from ingest_api.management.models import Input, Time, example
from schemas.model.access import Client
from schemas.model.channels import MAX_LENGTH, endpoint_of
from schemas.model.errors import NotFound
from schemas.security.permissions import Operation, check

MAX_CHANNELS = 128
"""Subscriptions of one connection, the realtime nodes' default."""

_HOUR = 3_600
_LONGEST = 7 * 24 * _HOUR
_MICROS = 1_000_000

router = APIRouter(prefix="/realtime", tags=["Realtime"])

Channel = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_LENGTH,
        description="`endpoint:<id>` for an endpoint's own; other names are of channel templates.",
    ),
]


class TokenInput(Input):
    """What both kinds of token say."""

    user: Annotated[
        str | None,
        Field(max_length=MAX_LENGTH, description="Who connects, as the issuer calls it; by default the caller's id."),
    ] = None
    lifetime: Annotated[
        int, Field(ge=1, le=_LONGEST, description="Seconds; the token lasts no longer than the API key of the call.")
    ] = _HOUR


class ConnectionTokenInput(TokenInput):
    """Who connects, and what the server subscribes it to at once."""

    model_config = example(user="u-1", lifetime=3_600)

    channels: Annotated[tuple[Channel, ...], Field(max_length=MAX_CHANNELS)] = ()


class SubscriptionTokenInput(TokenInput):
    """Whom to let into which channel; the user must be the one that connects."""

    model_config = example(user="u-1", lifetime=3_600, channel="endpoint:0190f0a0-0000-7000-8000-000000000000")

    channel: Channel


class TokenOutput(BaseModel):
    """A token for a client of the Centrifugo protocol."""

    token: str
    expires_at: Time


@router.post("/connection-token", summary="Let a realtime client connect")
async def issue_connection_token(
    gateway: TheGateway, caller: Caller, key: Key, workspace: Workspace, body: ConnectionTokenInput
) -> TokenOutput:
    """The server subscribes the connection to `channels`; for further ones it needs subscription tokens."""
    check(caller, Operation.LET_IN)
    for channel in body.channels:
        await _check_channel(gateway, caller, workspace, channel)
    token, expires_at = gateway.realtime_tokens.issue_connection(
        user=_user(body, caller),
        workspace=workspace,
        issuer=caller.id,
        lifetime=body.lifetime,
        key=IssuerKey.of(caller, key),
        channels=body.channels,
    )
    return TokenOutput.model_validate({"token": token, "expires_at": expires_at * _MICROS})


@router.post("/subscription-token", summary="Let a realtime client into a channel")
async def issue_subscription_token(
    gateway: TheGateway, caller: Caller, key: Key, workspace: Workspace, body: SubscriptionTokenInput
) -> TokenOutput:
    """For one user and one channel."""
    await _check_channel(gateway, caller, workspace, body.channel)
    token, expires_at = gateway.realtime_tokens.issue_subscription(
        user=_user(body, caller),
        workspace=workspace,
        issuer=caller.id,
        lifetime=body.lifetime,
        key=IssuerKey.of(caller, key),
        channel=body.channel,
    )
    return TokenOutput.model_validate({"token": token, "expires_at": expires_at * _MICROS})


def _user(body: TokenInput, caller: Client) -> str:
    return caller.id if body.user is None else body.user


async def _check_channel(gateway: Gateway, caller: Client, workspace: str, channel: str) -> None:
    """Refuse a channel that the caller may not let others into.

    Raises:
        NotFound: it is the own channel of an endpoint that the caller cannot see.
        PermissionDenied: it is any other channel, and the caller no operator.
    """
    if not lets_into(await gateway.view(), caller, workspace, channel):
        raise NotFound(f"There is no WebSocket endpoint {endpoint_of(channel)}.")
