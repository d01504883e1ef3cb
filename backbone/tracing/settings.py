"""Whether spans are made, and where they go: the variables of OpenTelemetry, and the start that obeys them."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from backbone.tracing.spans import Tracing

log = logging.getLogger(__name__)

_OTLP, _NONE = "otlp", "none"
_HTTP_PROTOBUF = "http/protobuf"
_EXPORTER = "opentelemetry.exporter.otlp.proto.http"

NOT_INSTALLED = (
    "Traces are on (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_TRACES_EXPORTER), but "
    "OpenTelemetry is not installed. Install it with pip install 'headrace[telemetry]', or set OTEL_SDK_DISABLED=true."
)


def _is_true(value: Any) -> Any:
    """Only ``true``, in any case, is true (OpenTelemetry, "Boolean")."""
    return value.strip().lower() == "true" if isinstance(value, str) else value


class TracingSettings(BaseSettings):
    """The variables that decide whether and how spans are sent; OpenTelemetry's SDK itself reads all others.

    Source: OpenTelemetry Specification, "Environment Variable Specification" and "OpenTelemetry Protocol Exporter".

    Raises:
        Misconfigured: spans are on, but an endpoint is no URL, or the protocol is another.

    Attributes:
        sdk_disabled: no spans, whatever else is set (``OTEL_SDK_DISABLED``).
        exporter: ``otlp`` or ``none`` (``OTEL_TRACES_EXPORTER``); if it is not set, an endpoint turns spans on.
        endpoint: base URL of the collector, to which ``/v1/traces`` is added (``OTEL_EXPORTER_OTLP_ENDPOINT``).
        traces_endpoint: its URL for spans, as it is (``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``).
        protocol, traces_protocol: only ``http/protobuf`` (``OTEL_EXPORTER_OTLP_PROTOCOL``,
            ``OTEL_EXPORTER_OTLP_TRACES_PROTOCOL``, of which the second goes before the first).
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True)

    sdk_disabled: Annotated[bool, BeforeValidator(_is_true)] = Field(
        default=False, validation_alias="OTEL_SDK_DISABLED"
    )
    exporter: str = Field(default="", validation_alias="OTEL_TRACES_EXPORTER")
    endpoint: str = Field(default="", validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT", repr=False)
    traces_endpoint: str = Field(default="", validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", repr=False)
    protocol: str = Field(default="", validation_alias="OTEL_EXPORTER_OTLP_PROTOCOL")
    traces_protocol: str = Field(default="", validation_alias="OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")

    @model_validator(mode="after")
    def _can_be_obeyed(self) -> Self:
        if not self.is_on:
            return self
        protocol = self.traces_protocol or self.protocol or _HTTP_PROTOBUF
        if protocol.lower() != _HTTP_PROTOBUF:
            raise Misconfigured(
                f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: spans are sent as {_HTTP_PROTOBUF} only. Set that, and the "
                "port at which the collector takes OTLP over HTTP (usually 4318)."
            )
        # Without the URL: it may have a password.
        for variable, url in (("_TRACES_ENDPOINT", self.traces_endpoint), ("_ENDPOINT", self.endpoint)):
            if url and not _is_http(url):
                raise Misconfigured(f"OTEL_EXPORTER_OTLP{variable} must be a URL such as http://localhost:4318")
        return self

    @property
    def is_on(self) -> bool:
        """Whether spans are made."""
        if self.sdk_disabled:
            return False
        return _OTLP in self._exporters if self._exporters else bool(self.traces_endpoint or self.endpoint)

    @property
    def _exporters(self) -> list[str]:
        return [name.strip().lower() for name in self.exporter.split(",") if name.strip()]

    def check(self) -> None:
        """Refuse the start of a process that makes spans and could not send them.

        Raises:
            Misconfigured: spans are on, but OpenTelemetry is not installed.
        """
        for name in self._exporters:
            if name not in {_OTLP, _NONE} and not self.sdk_disabled:
                log.warning("OTEL_TRACES_EXPORTER: %s is ignored, for spans are exported by otlp alone", name)
        if self.is_on and not _is_installed():
            raise Misconfigured(NOT_INSTALLED)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_installed() -> bool:
    try:
        return find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:
        return False


def open_tracing(settings: TracingSettings, process: str) -> Tracing | None:
    """Return what makes the spans of a process, or None if they are off; then OpenTelemetry is not even imported.

    Args:
        settings: of this process.
        process: its name, of which the default ``service.name`` is made.

    Raises:
        Misconfigured: see ``TracingSettings.check``; or a variable that the SDK reads cannot be used.
    """
    settings.check()
    if not settings.is_on:
        return None
    # The SDK costs a process 30 MB and half a second: whoever has no collector does not pay for it.
    from backbone.tracing.export import exporting  # noqa: PLC0415

    return exporting(process)
