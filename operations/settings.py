"""What the commands that start things can be told."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from operations.errors import CannotStart
from operations.supervisor.ports import free_port, is_free

DEFAULT_HTTP_PORT = 8080
DEFAULT_REALTIME_PORT = 8000


class OperationsSettings(BaseSettings):
    """Names of the environment are those of the whole installation.

    Attributes:
        data_dir: everything an installation on one machine keeps (``HEADRACE_DATA_DIR``).
        http_host: the address to bind to (``HEADRACE_HTTP_HOST``).
        http_port: of all API families; None means 8080, or another if that is taken (``HEADRACE_HTTP_PORT``).
        realtime_host: the address that WebSocket clients connect to (``HEADRACE_REALTIME_HOST``).
        realtime_port: likewise; None means 8000, or another if that is taken (``HEADRACE_REALTIME_PORT``).
        kafka_port: of the local broker; None means 9092, or another if that is taken (``HEADRACE_KAFKA_PORT``).
        kafka_sasl_port: of the local broker, for clients with credentials; None means 9093, or another
            (``HEADRACE_KAFKA_SASL_PORT``).
        kafka_open: whether the local broker lets clients without credentials read events (``HEADRACE_KAFKA_OPEN``).
        router_group, ledger_group: consumer groups of the stream processors (``HEADRACE_PROCESSORS_GROUP``,
            ``HEADRACE_PROCESSORS_LEDGER_GROUP``); nobody else may use them.
        admin_key: of the first administrator; empty means the one in the data directory (``HEADRACE_ADMIN_KEY``).
        url: of the gateway that commands call; empty means the one of the data directory (``HEADRACE_URL``).
        key: API key that commands call with; empty means the administrator's (``HEADRACE_KEY``).
        ledger: whether there is a ledger process (``HEADRACE_PROCESSORS_LEDGER``).
        processors_web_port, ledger_web_port, replayer_web_port, monitor_web_port: where the router, the ledger, the
            replayer and the monitor serve their health and metrics (``HEADRACE_PROCESSORS_WEB_PORT``,
            ``HEADRACE_PROCESSORS_LEDGER_WEB_PORT`` and so on).
        health_port: the first of the ports for health and metrics that ``headrace up`` gives its processes
            (``HEADRACE_HEALTH_PORT``).
        start_timeout: seconds that the local broker and each process of ``headrace up`` may take to become ready
            (``HEADRACE_START_TIMEOUT``).
        webhook_allow: CIDRs that webhooks may go to besides public addresses (``HEADRACE_WEBHOOK_ALLOW``).
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True)

    data_dir: Path = Field(Path(".headrace"), validation_alias="HEADRACE_DATA_DIR")
    http_host: str = Field("127.0.0.1", validation_alias="HEADRACE_HTTP_HOST")
    http_port: int | None = Field(None, ge=1, le=65_535, validation_alias="HEADRACE_HTTP_PORT")
    realtime_host: str = Field("127.0.0.1", validation_alias="HEADRACE_REALTIME_HOST")
    realtime_port: int | None = Field(None, ge=1, le=65_535, validation_alias="HEADRACE_REALTIME_PORT")
    kafka_port: int | None = Field(None, ge=1, le=65_535, validation_alias="HEADRACE_KAFKA_PORT")
    kafka_sasl_port: int | None = Field(None, ge=1, le=65_535, validation_alias="HEADRACE_KAFKA_SASL_PORT")
    kafka_open: bool = Field(True, validation_alias="HEADRACE_KAFKA_OPEN")
    router_group: str = Field("", validation_alias="HEADRACE_PROCESSORS_GROUP")
    ledger_group: str = Field("", validation_alias="HEADRACE_PROCESSORS_LEDGER_GROUP")
    url: str = Field("", validation_alias="HEADRACE_URL")
    key: str = Field("", validation_alias="HEADRACE_KEY", repr=False)
    ledger: bool = Field(True, validation_alias="HEADRACE_PROCESSORS_LEDGER")
    admin_key: str = Field("", validation_alias="HEADRACE_ADMIN_KEY", repr=False)
    processors_web_port: int | None = Field(None, ge=1, le=65_535, validation_alias="HEADRACE_PROCESSORS_WEB_PORT")
    ledger_web_port: int | None = Field(None, ge=1, le=65_535, validation_alias="HEADRACE_PROCESSORS_LEDGER_WEB_PORT")
    replayer_web_port: int | None = Field(
        None, ge=1, le=65_535, validation_alias="HEADRACE_PROCESSORS_REPLAYER_WEB_PORT"
    )
    monitor_web_port: int | None = Field(None, ge=1, le=65_535, validation_alias="HEADRACE_PROCESSORS_MONITOR_WEB_PORT")
    health_port: int = Field(9_101, ge=1, le=65_000, validation_alias="HEADRACE_HEALTH_PORT")
    start_timeout: float = Field(90.0, ge=1, validation_alias="HEADRACE_START_TIMEOUT")
    webhook_allow: str = Field("", validation_alias="HEADRACE_WEBHOOK_ALLOW")

    @property
    def base_url(self) -> str:
        """Where a gateway that was started with these settings is reached from this machine."""
        return f"http://{_reached(self.http_host)}:{self.http_port or DEFAULT_HTTP_PORT}"

    @property
    def realtime_url(self) -> str:
        """Where WebSocket clients on this machine connect."""
        return f"{self.realtime_node_url}/connection/websocket"

    @property
    def realtime_node_url(self) -> str:
        """The same without a path."""
        return f"ws://{_reached(self.realtime_host)}:{self.realtime_port or DEFAULT_REALTIME_PORT}"

    def with_free_ports(self) -> OperationsSettings:
        """The same with the ports decided.

        Raises:
            CannotStart: a port that was asked for is taken.
        """
        http = _decided(self.http_port, DEFAULT_HTTP_PORT, self.http_host, "HEADRACE_HTTP_PORT")
        realtime = _decided(self.realtime_port, DEFAULT_REALTIME_PORT, self.realtime_host, "HEADRACE_REALTIME_PORT")
        return self.model_copy(update={"http_port": http, "realtime_port": realtime})


def _reached(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"[{host}]" if ":" in host else host


def _decided(port: int | None, default: int, host: str, name: str) -> int:
    if port is None:
        return free_port(default, host)
    if not is_free(port, host):
        raise CannotStart(f"Port {port} ({name}) of {host} is taken.")
    return port
