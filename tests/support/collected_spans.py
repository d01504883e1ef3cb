"""What a collector got by OTLP over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.component.connectors.receiver import Received


class CollectedSpan(NamedTuple):
    """One span; ids in hexadecimal digits, ``parent`` is empty at the root."""

    service: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: str


def collected(requests: Iterable[Received]) -> list[CollectedSpan]:
    """The spans of all requests, the first that began first."""
    spans = []
    for request in requests:
        assert request.headers["content-type"] == "application/x-protobuf"
        for each in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            service = next(pair.value.string_value for pair in each.resource.attributes if pair.key == "service.name")
            spans += [(service, span) for scope in each.scope_spans for span in scope.spans]
    return [
        CollectedSpan(
            service,
            Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            str(span.attributes),
        )
        for service, span in sorted(spans, key=lambda each: each[1].start_time_unix_nano)
    ]
