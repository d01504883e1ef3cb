"""When spans are made, and starts that are refused."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from backbone.tracing import settings as module
from backbone.tracing.settings import TracingSettings, open_tracing
from operations.supervisor.ports import free_port
from schemas.model.errors import Misconfigured

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"


def told(monkeypatch: pytest.MonkeyPatch, **variables: str) -> TracingSettings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return TracingSettings()


@pytest.mark.parametrize(
    ("variables", "is_on"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "OTLP"}, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "console"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "True"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "1"}, True),
    ],
)
def test_spans_are_off_until_a_collector_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, is_on: bool
) -> None:
    settings = told(monkeypatch, **variables)
    settings.check()

    assert settings.is_on is is_on


def test_an_exporter_that_is_not_ours_is_ignored_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        told(monkeypatch, OTEL_TRACES_EXPORTER="otlp,zipkin").check()

    assert [record.getMessage() for record in caplog.records] == [
        "OTEL_TRACES_EXPORTER: zipkin is ignored, for spans are exported by otlp alone"
    ]


@pytest.mark.parametrize(
    "variables", [{PROTOCOL: "grpc"}, {PROTOCOL: "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}]
)
def test_a_protocol_that_cannot_be_spoken_refuses_the_start(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    with pytest.raises(Misconfigured, match="http/protobuf only"):
        told(monkeypatch, **ENDPOINT, **variables)
    assert not told(monkeypatch, OTEL_SDK_DISABLED="true").is_on


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
@pytest.mark.parametrize("url", ["localhost:4318", "http://", "grpc://u:secret@collector", "http://collector:port"])
def test_an_endpoint_that_is_no_url_refuses_the_start_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str
) -> None:
    with pytest.raises(Misconfigured, match=f"{variable} must be a URL") as refused:
        told(monkeypatch, **{variable: url})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("missing", ["opentelemetry.exporter", "opentelemetry.exporter.otlp.proto.http"])
def test_without_the_package_the_start_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def found(name: str) -> Any:
        if missing == name:
            return None
        raise ModuleNotFoundError(missing)

    monkeypatch.setattr(module, "find_spec", found)

    with pytest.raises(Misconfigured, match=r"pip install 'headrace\[telemetry\]'"):
        open_tracing(told(monkeypatch, **ENDPOINT), "test")
    assert open_tracing(told(monkeypatch, OTEL_SDK_DISABLED="true"), "test") is None


def test_a_variable_that_the_sdk_cannot_use_refuses_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured, match="max_queue_size"):
        open_tracing(told(monkeypatch, **ENDPOINT, OTEL_BSP_MAX_QUEUE_SIZE="-1"), "test")


def test_the_process_names_the_service_unless_a_variable_does(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for variables in ({}, {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}, {"OTEL_SERVICE_NAME": "b"}):
        tracing = open_tracing(told(monkeypatch, **ENDPOINT, **variables), "router")
        assert tracing is not None
        names.append(tracing._provider.resource.attributes["service.name"])
        tracing.close()

    assert names == ["headrace-router", "a", "b"]


def test_a_full_queue_and_a_collector_that_is_away_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    tracing = open_tracing(told(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}"), "test")
    assert tracing is not None

    for _ in range(100):
        tracing._tracer.start_span("one", kind=SpanKind.INTERNAL).end()
    (processor,) = tracing._provider._active_span_processor._span_processors

    assert len(processor._batch_processor._queue) <= 4  # type: ignore[attr-defined]
    tracing.close()


def test_a_process_without_spans_does_not_import_the_sdk() -> None:
    """FastAPI imports the API of OpenTelemetry, which does nothing without the SDK."""
    planes = "import sys, processes.ingest, processes.agents, processes.connector"
    opened = "from backbone.tracing.settings import TracingSettings, open_tracing; open_tracing(TracingSettings(), 'x')"
    ours = "('opentelemetry.sdk', 'opentelemetry.exporter', 'backbone.tracing.spans')"
    code = f"{planes}; {opened}; print([name for name in sys.modules if name.startswith({ours})])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
