"""What the ingest plane can be told; the HTTP port and address are the installation's (design section 9)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backbone.catalog.bounds import CatalogBounds
from backbone.kafka.settings import KafkaSettings
from backbone.process.http_hosts import HttpHosts
from backbone.process.logs import LogLevel
from backbone.process.settings import BackboneSettings
from backbone.realtime_tokens import RealtimeTokenSettings
from backbone.tracing.settings import TracingSettings
from ingest_api.quotas.settings import QuotaSettings

MIB = 1_048_576


class IngestSettings(BaseSettings):
    """Environment names are ``HEADRACE_INGEST_<NAME>`` unless given here.

    Attributes:
        host: the address to bind to (``HEADRACE_HTTP_HOST``).
        port: ``HEADRACE_HTTP_PORT``.
        workers: processes that share the port.
        families: the API families that are served, comma-separated; empty: all (``HEADRACE_FAMILIES``).
        only: ``hot`` serves the routes that publish, ``control`` everything else; None both.
        cors_origins: origins whose browsers may call, comma-separated, ``*`` for all (``HEADRACE_CORS_ORIGINS``).
        max_body_bytes: of one request.
        max_batch_events: in one request.
        request_timeout: seconds after which a request that waits for Kafka is answered 503.
        start_timeout: seconds to wait for Kafka when starting.
        stop_timeout: seconds that open requests get when stopping.
        access_log: write a line for each request to the log.
        webhook_allow: networks besides public addresses that URLs may be registered for; that of the connectors
            (``HEADRACE_WEBHOOK_ALLOW``, CIDR, comma-separated).
        webhook_https_only: whether URLs of plain http are refused (``HEADRACE_WEBHOOK_HTTPS_ONLY``, the connectors').
        bounds: how much clients and workspaces may have (``HEADRACE_MAX_<NAME>``).
        quotas: how much clients and workspaces may publish in a second (``HEADRACE_QUOTA_<NAME>``).
        realtime_token: how the tokens of realtime clients are signed.
        tracing: whether requests that publish have spans (``OTEL_…``).
        log_level: what is logged at least (``HEADRACE_LOG_LEVEL``).
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_INGEST_", frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    host: str = Field("127.0.0.1", validation_alias="HEADRACE_HTTP_HOST")
    port: int = Field(8080, ge=0, le=65_535, validation_alias="HEADRACE_HTTP_PORT")
    workers: int = Field(1, ge=1)
    families: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="HEADRACE_FAMILIES")
    only: Literal["hot", "control"] | None = None
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="HEADRACE_CORS_ORIGINS")
    max_body_bytes: int = Field(8 * MIB, ge=1)
    max_batch_events: int = Field(10_000, ge=1)
    request_timeout: float = Field(4.5, gt=0)
    start_timeout: float = Field(60.0, gt=0)
    stop_timeout: float = Field(10.0, gt=0)
    access_log: bool = False
    webhook_allow: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="HEADRACE_WEBHOOK_ALLOW")
    webhook_https_only: bool = Field(False, validation_alias="HEADRACE_WEBHOOK_HTTPS_ONLY")
    log_level: LogLevel = Field("INFO", validation_alias="HEADRACE_LOG_LEVEL")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    backbone: BackboneSettings = Field(default_factory=BackboneSettings)
    bounds: CatalogBounds = Field(default_factory=CatalogBounds)
    quotas: QuotaSettings = Field(default_factory=QuotaSettings)
    realtime_token: RealtimeTokenSettings = Field(default_factory=RealtimeTokenSettings)
    tracing: TracingSettings = Field(default_factory=TracingSettings)

    @property
    def hosts(self) -> HttpHosts:
        """By which names routes answer that ask for no credential."""
        return HttpHosts(self.host, self.backbone.http_hosts)

    @field_validator("families", "cors_origins", "webhook_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
