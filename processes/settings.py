"""Settings of a connector's process."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from backbone.kafka.settings import KafkaSettings
from backbone.process.logs import LogLevel
from backbone.process.settings import BackboneSettings
from backbone.tracing.settings import TracingSettings
from connectors.file.settings import FileSettings
from connectors.webhook.settings import WebhookSettings
from connectors.websocket.settings import RealtimeSettings


class ConnectorSettings(BaseSettings):
    """One connector process.

    Attributes:
        kafka, backbone, tracing, webhook, file, realtime: the settings of those parts.
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
    tracing: TracingSettings = Field(default_factory=TracingSettings)
    webhook: WebhookSettings = Field(default_factory=WebhookSettings)
    file: FileSettings = Field(default_factory=FileSettings)
    realtime: RealtimeSettings = Field(default_factory=RealtimeSettings)
    log_level: LogLevel = Field("INFO", validation_alias="HEADRACE_LOG_LEVEL")
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(None, ge=1, le=65_535)
    slot: int | None = Field(None, ge=0)
