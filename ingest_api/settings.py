"""What the ingest plane can be told; the HTTP port and address are the installation's (design section 9)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from backbone.catalog.bounds import CatalogBounds
from backbone.envoy_settings import EnvoyScopeSettings
from backbone.kafka.settings import KafkaSettings
from backbone.logs import LogLevel
from backbone.realtime_tokens import RealtimeTokenSettings
from backbone.settings import BackboneSettings

MIB = 1_048_576


class IngestSettings(EnvoyScopeSettings):
    """Environment names are ``HEADRACE_INGEST_<NAME>`` unless given here.

    Attributes:
        host: the address to bind to (``HEADRACE_HTTP_HOST``).
        port: ``HEADRACE_HTTP_PORT``.
        workers: processes that share the port.
        only: ``hot`` serves the routes that publish, ``control`` everything else; None both.
        cors_origins: origins whose browsers may call, comma-separated, ``*`` for all (``HEADRACE_CORS_ORIGINS``).
        max_body_bytes: of one request.
        max_batch_events: in one request.
        request_timeout: seconds after which a request that waits for Kafka is answered 503.
        start_timeout: seconds to wait for Kafka when starting.
        stop_timeout: seconds that open requests get when stopping.
        crmls_register_on_first_use: the first use of a ``messageType`` registers it.
        crmls_max_message_types: that one client may register so.
        crmls_strict_json: refuse the trailing commas that the CRMLS document prints.
        schema_registry_open: the schema registry is read without a credential, by whoever reaches the port; None: only
            where ``host`` is a loopback address.
        envoy_provision_scope: that provisioning needs; empty: any access token of the organisation.
        envoy_manage_scope: that deprovisioning and naming public namespaces need; whoever has the scope of
            ``envoy_provision_scope`` may too. ``*``: as provisioning.
        event_service_page_limit: most items in one answer to an event-service (GraphQL) query.
        eventhos_compat_status: answer 203 rather than 200 for an event that has no contracts, as the original does.
        webhook_allow: networks besides public addresses that URLs may be registered for; that of the connectors
            (``HEADRACE_WEBHOOK_ALLOW``, CIDR, comma-separated).
        bounds: how much clients and workspaces may have (``HEADRACE_MAX_<NAME>``).
        realtime_token: how the tokens of realtime clients are signed.
        log_level: what is logged at least (``HEADRACE_LOG_LEVEL``).
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_INGEST_", frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    host: str = Field("127.0.0.1", validation_alias="HEADRACE_HTTP_HOST")
    port: int = Field(8080, ge=0, le=65_535, validation_alias="HEADRACE_HTTP_PORT")
    workers: int = Field(1, ge=1)
    only: Literal["hot", "control"] | None = None
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="HEADRACE_CORS_ORIGINS")
    max_body_bytes: int = Field(8 * MIB, ge=1)
    max_batch_events: int = Field(10_000, ge=1)
    request_timeout: float = Field(4.5, gt=0)
    start_timeout: float = Field(60.0, gt=0)
    stop_timeout: float = Field(10.0, gt=0)
    crmls_register_on_first_use: bool = True
    crmls_max_message_types: int = Field(500, ge=0)
    crmls_strict_json: bool = False
    schema_registry_open: bool | None = None
    eventhos_compat_status: bool = False
    envoy_provision_scope: str = ""
    envoy_manage_scope: str = Field("events:manage", min_length=1)
    event_service_page_limit: int = Field(1_000, ge=1)
    webhook_allow: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="HEADRACE_WEBHOOK_ALLOW")
    log_level: LogLevel = Field("INFO", validation_alias="HEADRACE_LOG_LEVEL")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    backbone: BackboneSettings = Field(default_factory=BackboneSettings)
    bounds: CatalogBounds = Field(default_factory=CatalogBounds)
    realtime_token: RealtimeTokenSettings = Field(default_factory=RealtimeTokenSettings)

    @property
    def registry_is_open(self) -> bool:
        """Whether the schema registry asks for no credential."""
        return is_loopback(self.host) if self.schema_registry_open is None else self.schema_registry_open

    @field_validator("cors_origins", "webhook_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address that is listened on."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
