"""What the commands that start things can be told."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from operations.errors import CannotStart
from operations.ports import free_port, is_free

DEFAULT_HTTP_PORT = 8080


class OperationsSettings(BaseSettings):
    """Names of the environment are those of the whole installation.

    Attributes:
        data_dir: everything an installation on one machine keeps (``HEADRACE_DATA_DIR``).
        http_host: the address to bind to (``HEADRACE_HTTP_HOST``).
        http_port: of all API families; None means 8080, or another if that is taken (``HEADRACE_HTTP_PORT``).
        kafka_port: of the local broker; None means 9092, or another if that is taken (``HEADRACE_KAFKA_PORT``).
        admin_key: of the first administrator; empty means the one in the data directory (``HEADRACE_ADMIN_KEY``).
        webhook_allow: CIDRs that webhooks may go to besides public addresses (``HEADRACE_WEBHOOK_ALLOW``).
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    data_dir: Path = Field(Path(".headrace"), validation_alias="HEADRACE_DATA_DIR")
    http_host: str = Field("127.0.0.1", validation_alias="HEADRACE_HTTP_HOST")
    http_port: int | None = Field(None, ge=1, le=65_535, validation_alias="HEADRACE_HTTP_PORT")
    kafka_port: int | None = Field(None, ge=1, le=65_535, validation_alias="HEADRACE_KAFKA_PORT")
    admin_key: str = Field("", validation_alias="HEADRACE_ADMIN_KEY", repr=False)
    webhook_allow: str = Field("", validation_alias="HEADRACE_WEBHOOK_ALLOW")

    @property
    def base_url(self) -> str:
        """Where a gateway that was started with these settings is reached from this machine."""
        host = "127.0.0.1" if self.http_host in {"0.0.0.0", "::"} else self.http_host  # noqa: S104 - read, not bound
        return f"http://{host}:{self.http_port or DEFAULT_HTTP_PORT}"

    def with_free_http_port(self) -> OperationsSettings:
        """The same with the port decided.

        Raises:
            CannotStart: the port that was asked for is taken.
        """
        if self.http_port is None:
            return self.model_copy(update={"http_port": free_port(DEFAULT_HTTP_PORT, self.http_host)})
        if not is_free(self.http_port, self.http_host):
            raise CannotStart(f"Port {self.http_port} (HEADRACE_HTTP_PORT) of {self.http_host} is taken.")
        return self
