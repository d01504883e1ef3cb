"""Settings of the connectors."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backbone.kafka.settings import KafkaSettings
from backbone.logs import LogLevel
from backbone.settings import BackboneSettings
from connectors.websocket.settings import RealtimeSettings

DAY = 86_400
"""Seconds."""
MIB = 1_048_576


class WebhookSettings(BaseSettings):
    """How webhooks are sent. Every name is prefixed ``HEADRACE_WEBHOOK_``; times are in seconds.

    Attributes:
        allow: networks (CIDR, comma-separated) that webhooks may reach although they are not public, for example
            ``127.0.0.0/8`` to try it out. Empty: public addresses only.
        timeout: from name resolution to the last body byte, for endpoints that set none.
        body_limit: most bytes of a response that are read.
        max_pending: most deliveries of one process that are queued or under way,
        max_pending_bytes: and most bytes of their events together; what was fetched ahead, at most 64 MiB, comes on
            top.
        max_pause: longest pause that a ``Retry-After`` may ask for.
        max_age: a delivery that could not be tried for so long is set aside in ``dead-letters``.
        drain: how long a stopping or rebalancing worker waits for requests under way.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_WEBHOOK_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    allow: Annotated[tuple[str, ...], NoDecode] = ()
    timeout: float = Field(15.0, gt=0, le=300)
    body_limit: int = Field(16_384, ge=1)
    max_pending: int = Field(5_000, ge=1)
    max_pending_bytes: int = Field(256 * MIB, ge=1)
    max_pause: float = Field(7.0 * DAY, gt=0)
    max_age: float = Field(14.0 * DAY, gt=0)
    drain: float = Field(5.0, ge=0)

    @field_validator("allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


class FileSettings(BaseSettings):
    """When the file sink cuts a file; whichever comes first. Every name is prefixed ``HEADRACE_FILE_``.

    Attributes:
        max_bytes: of a file; the event that reaches it is the last.
        max_events: in a file.
        max_age: seconds that the first event of a file may wait for the others.
        max_buffered: bytes that are in no file yet, of all endpoints together; past it the largest are cut early.
    """

    model_config = SettingsConfigDict(env_prefix="HEADRACE_FILE_", frozen=True, extra="ignore", env_ignore_empty=True)

    max_bytes: int = Field(8 * MIB, ge=1)
    max_events: int = Field(10_000, ge=1)
    max_age: float = Field(10.0, gt=0)
    max_buffered: int = Field(128 * MIB, ge=1)


class ConnectorSettings(BaseSettings):
    """One connector process.

    Attributes:
        kafka, backbone, webhook, file, realtime: the settings of those parts.
        log_level: what is logged at least (``HEADRACE_LOG_LEVEL``).
        metrics_host, metrics_port: where this process serves ``/metrics``, ``/healthz`` and ``/readyz``
            (``HEADRACE_CONNECTOR_METRICS_HOST``, ``HEADRACE_CONNECTOR_METRICS_PORT``); without a port nowhere.
        slot: tells the webhook connectors of one node apart in transactional ids (``HEADRACE_CONNECTOR_SLOT``); None
            takes the first that no living process of this data directory holds.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_CONNECTOR_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    backbone: BackboneSettings = Field(default_factory=BackboneSettings)
    webhook: WebhookSettings = Field(default_factory=WebhookSettings)
    file: FileSettings = Field(default_factory=FileSettings)
    realtime: RealtimeSettings = Field(default_factory=RealtimeSettings)
    log_level: LogLevel = Field("INFO", validation_alias="HEADRACE_LOG_LEVEL")
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(None, ge=1, le=65_535)
    slot: int | None = Field(None, ge=0)
