"""Settings of the webhook connector."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_DAY = 86_400
"""Seconds."""
_MIB = 1_048_576


class WebhookSettings(BaseSettings):
    """How webhooks are sent. Every name is prefixed ``HEADRACE_WEBHOOK_``; times are in seconds.

    Attributes:
        allow: networks (CIDR, comma-separated) that webhooks may reach although they are not public, for example
            ``127.0.0.0/8`` to try it out. Empty: public addresses only.
        proxy: URL of an HTTP proxy, with its credentials, that all requests go through. It decides about names then;
            only hosts that are addresses are checked here.
        https_only: whether requests of plain http are refused, those for tokens too.
        timeout: from name resolution to the last body byte, for endpoints that set none.
        body_limit: most bytes of a response that are read.
        kept_bytes: most bytes of a request's body, and of its response's, that are kept with an attempt; 0 keeps
            neither bodies nor headers.
        max_pending: most deliveries of one process that are queued or under way,
        max_pending_bytes: and most bytes of their events together; what was fetched ahead, at most 64 MiB, comes on
            top. Workspaces share both: one alone has at most four fifths of them, and there is always room for another.
        max_pause: longest pause that a ``Retry-After`` may ask for.
        failing_after: attempts in a row that failed, after which an endpoint counts as failing.
        disable_after: an endpoint whose every attempt failed for so long is disabled; 0 turns it off. Endpoints may set
            their own.
        max_age: a delivery that could not be tried for so long is set aside in ``dead-letters``.
        drain: how long a stopping or rebalancing worker waits for requests under way.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_WEBHOOK_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    allow: Annotated[tuple[str, ...], NoDecode] = ()
    proxy: SecretStr = SecretStr("")
    https_only: bool = False
    timeout: float = Field(15.0, gt=0, le=300)
    body_limit: int = Field(16_384, ge=1)
    kept_bytes: int = Field(2_048, ge=0, le=32_768)
    max_pending: int = Field(5_000, ge=1)
    max_pending_bytes: int = Field(256 * _MIB, ge=1)
    max_pause: float = Field(7.0 * _DAY, gt=0)
    failing_after: int = Field(5, ge=1)
    disable_after: float = Field(5.0 * _DAY, ge=0)
    max_age: float = Field(14.0 * _DAY, gt=0)
    drain: float = Field(5.0, ge=0)

    @field_validator("allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
