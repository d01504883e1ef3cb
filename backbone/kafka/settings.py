"""How to reach Kafka, and the numbers that every plane must agree on."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DAY = 86_400
"""Seconds."""

_REPEAT = 10.0
"""Seconds for which a client says the same thing only once."""


_FENCED = ("fenced by a newer instance", "with an old epoch")
"""How the client tells that another one has taken its transactional id: critical to itself, but it is how writers of
the catalog take turns, and how a router that was away learns of it. Who it happens to goes on, and says so."""


class ClientLog:
    """Takes one client's log lines; while a broker is away librdkafka would repeat itself many times a second."""

    def __init__(self) -> None:
        self._log = logging.getLogger("backbone.kafka.client")
        self._said: dict[tuple[str, int], float] = {}

    def log(self, level: int, message: str, *args: object) -> None:
        """Called by librdkafka's client; the first argument is the facility, such as ``FAIL``."""
        now = time.monotonic()
        facility = str(args[0]) if args else message
        if any(sign in str(arg) for arg in args for sign in _FENCED):
            level = logging.INFO
        if now - self._said.get((facility, level), -_REPEAT) >= _REPEAT:
            self._said[facility, level] = now
            self._log.log(level, message, *args)


class KafkaSettings(BaseSettings):
    """Connection, partition counts and retention; the same values for all planes of an installation.

    Attributes:
        bootstrap_servers: ``host:port`` list (``KAFKA_BOOTSTRAP_SERVERS``).
        options: librdkafka properties for every client, for example SASL and TLS (``HEADRACE_KAFKA_OPTIONS``, JSON).
        password_file: a file with ``sasl.password`` (``HEADRACE_KAFKA_PASSWORD_FILE``), so that it stands in no
            environment.
        group_protocol: ``consumer`` (KIP-848, brokers from 4.0), ``classic``, or ``auto``: the first the broker has.
        replication_factor: of topics that Headrace creates; -1 takes the broker's default.
        min_insync_replicas: of topics that Headrace creates; 0 takes the broker's default.
        delivery_partitions: of ``deliveries.*`` and ``attempts``; the most workers that can share the work.
        delivery_timeout: seconds for which a record may be in flight; far above any request's deadline.
        type_lease: seconds for which a process may publish events with keys by its copy of the catalog; the growth of a
            topic whose order is kept waits for them.
        event_retention: of event topics, seconds.
        delivery_retention: of deliveries, retries, attempts, receipts and dead letters, seconds.
        audit_retention: of the audit log, seconds.
        idempotency_window: how long a repeat of a publish is recognised, seconds.
        idempotency_keys: how many keys per client are remembered at most; past it the window is effectively shorter.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True)

    bootstrap_servers: str = Field("127.0.0.1:9092", validation_alias="KAFKA_BOOTSTRAP_SERVERS")
    options: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict, validation_alias="HEADRACE_KAFKA_OPTIONS", repr=False
    )
    password_file: Path | None = Field(None, validation_alias="HEADRACE_KAFKA_PASSWORD_FILE")
    group_protocol: str = Field(
        "auto", pattern="^(auto|consumer|classic)$", validation_alias="HEADRACE_KAFKA_GROUP_PROTOCOL"
    )
    replication_factor: int = Field(-1, validation_alias="HEADRACE_KAFKA_REPLICATION_FACTOR")
    min_insync_replicas: int = Field(0, ge=0, validation_alias="HEADRACE_KAFKA_MIN_INSYNC_REPLICAS")
    delivery_partitions: int = Field(8, ge=1, validation_alias="HEADRACE_DELIVERY_PARTITIONS")
    delivery_timeout: float = Field(120.0, ge=1, validation_alias="HEADRACE_KAFKA_DELIVERY_TIMEOUT")
    type_lease: float = Field(10.0, ge=1, validation_alias="HEADRACE_TYPE_LEASE")
    event_retention: int = Field(14 * DAY, ge=1, validation_alias="HEADRACE_EVENT_RETENTION")
    delivery_retention: int = Field(14 * DAY, ge=14 * DAY, validation_alias="HEADRACE_DELIVERY_RETENTION")
    audit_retention: int = Field(365 * DAY, ge=DAY, validation_alias="HEADRACE_AUDIT_RETENTION")
    idempotency_window: int = Field(DAY, ge=60, validation_alias="HEADRACE_IDEMPOTENCY_WINDOW")
    idempotency_keys: int = Field(100_000, ge=1, validation_alias="HEADRACE_IDEMPOTENCY_KEYS")

    @field_validator("options", mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError('must be a JSON object, such as {"security.protocol": "SSL"}') from error

    @model_validator(mode="after")
    def _read_password(self) -> Self:
        if self.password_file is not None:
            try:
                password = self.password_file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ValueError(f"HEADRACE_KAFKA_PASSWORD_FILE: {error}") from error
            self.options["sasl.password"] = password
        return self

    def client_config(self, **overrides: Any) -> dict[str, Any]:
        """The librdkafka configuration of one client.

        The installation's ``options`` come before the client's own ``overrides``: what a client needs for its promise
        (acks, isolation level) cannot be configured away.
        """
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": "headrace",
            # A topic that was created or grown is seen within this many milliseconds, not librdkafka's 5 minutes.
            "topic.metadata.refresh.interval.ms": 5_000,
            # A broker that comes back is found soon: the default grows to 10 s.
            "reconnect.backoff.max.ms": 1_000,
            "logger": ClientLog(),
            **self.options,
            **overrides,
        }
