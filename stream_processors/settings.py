"""Settings of the stream processors: environment variables ``HEADRACE_PROCESSORS_<NAME>``."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from backbone.kafka.settings import KafkaSettings
from backbone.process.logs import LogLevel
from backbone.process.settings import BackboneSettings
from backbone.tracing.settings import TracingSettings


class ProcessorSettings(BaseSettings):
    """One ``headrace router``, ``ledger`` or ``processors``; as many share the partitions of what they read.

    Attributes:
        slot: tells processes of one kind and node apart (transactional ids ``headrace-router-<node id>-<slot>``, the
            same with ``-second``, and ``headrace-ledger-…``); None takes the first that no living process of this data
            directory holds.
        group: consumer group of the routers.
        ledger: whether ``headrace processors`` also indexes into the ledger, and ``headrace up`` starts the ledger.
        ledger_group: consumer group of the ledger agent.
        ledger_retention: seconds that the ledger keeps what happened.
        batch_events: most events in one batch; a batch is at most one fetch queue, so bytes are bounded too.
        queued_batches: batches that may wait behind the one being routed.
        transaction_deliveries: a batch that fans out further than this is committed in several transactions.
        transaction_timeout: seconds until Kafka aborts the transaction of a router that went silent.
        skew_allowance: seconds subtracted from the time a subscription starts at; None means 0.5 with several brokers
            (their clocks may differ) and 0 with one.
        tracing: whether routed events have spans (``OTEL_…``).
        log_level: what is logged at least (``HEADRACE_LOG_LEVEL``).
        web_host: where each serves ``/metrics``, ``/healthz`` and ``/readyz``.
        web_port: likewise, of ``headrace router`` and ``headrace processors``; None: nowhere.
        ledger_web_port: likewise, of ``headrace ledger``.
        replayer_web_port: likewise, of ``headrace replayer``.
        monitor_web_port: likewise, of ``headrace monitor``.
        monitor_interval: seconds between two looks at topics and consumer groups.
        fault_before_commit: for tests: ``kill:<n>``, ``stop:<n>`` or ``abort:<n>`` strikes the n-th transaction after
            its records were produced and before it commits (``HEADRACE_FAULT_BEFORE_COMMIT``).
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_PROCESSORS_", frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    backbone: BackboneSettings = Field(default_factory=BackboneSettings)
    tracing: TracingSettings = Field(default_factory=TracingSettings)
    slot: int | None = Field(None, ge=0)
    group: str = "headrace-router"
    ledger: bool = True
    ledger_group: str = "headrace-ledger"
    ledger_retention: float = Field(30 * 86_400, gt=0)
    batch_events: int = Field(2_000, ge=1)
    queued_batches: int = Field(2, ge=1)
    transaction_deliveries: int = Field(20_000, ge=1)
    transaction_timeout: float = Field(10.0, gt=0)
    skew_allowance: float | None = Field(None, ge=0)
    web_host: str = "127.0.0.1"
    web_port: int | None = Field(None, ge=1, le=65_535)
    ledger_web_port: int | None = Field(None, ge=1, le=65_535)
    replayer_web_port: int | None = Field(None, ge=1, le=65_535)
    monitor_web_port: int | None = Field(None, ge=1, le=65_535)
    monitor_interval: float = Field(10.0, gt=0, le=15)
    log_level: LogLevel = Field("INFO", validation_alias="HEADRACE_LOG_LEVEL")
    fault_before_commit: str | None = Field(
        None, pattern=r"^(kill|stop|abort):[1-9]\d*$", validation_alias="HEADRACE_FAULT_BEFORE_COMMIT"
    )
