"""Sends spans by OTLP over HTTP, from a thread of the SDK with a bounded queue: nothing waits for the collector."""

from __future__ import annotations

from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from backbone.tracing.spans import Tracing
from schemas.model.errors import Misconfigured

_UNNAMED = "unknown_service"
"""How the SDK calls a service that no variable names."""


def exporting(process: str) -> Tracing:
    """Return what makes the spans of a process and sends them, as the environment says.

    Args:
        process: its name; ``service.name`` is ``headrace-<process>`` unless a variable gives another.

    Raises:
        Misconfigured: a variable cannot be used.
    """
    try:
        # Not registered to be shut down at exit: that takes up to 30 s. ``Tracing.close`` has a limit.
        provider = TracerProvider(resource=_resource(process), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except (ValueError, OSError) as error:
        raise Misconfigured(f"a variable of OpenTelemetry (OTEL_…) cannot be used: {error}") from error
    return Tracing(provider)


def _resource(process: str) -> Resource:
    found = Resource.create({"service.version": version("headrace")})
    if not str(found.attributes[SERVICE_NAME]).startswith(_UNNAMED):
        return found
    return found.merge(Resource({SERVICE_NAME: f"headrace-{process}"}))
