"""The spans of an event: the request that publishes it, its way into Kafka, its routing, and each request to a webhook.

This module and ``export`` alone import OpenTelemetry, and only a process that sends spans imports them. No span has a
header, a key, a query, a body, or the path of a webhook: all of these can be credentials.

Source: OpenTelemetry Semantic Conventions 1.44.0, "HTTP spans" (stable), "Messaging spans" and "Kafka" (development);
W3C Trace Context.
"""

from __future__ import annotations

import contextlib
import threading
from contextvars import ContextVar
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from backbone.kafka.records import headers_of
from backbone.process.request_id import REQUEST_ID
from schemas.model.event_headers import EVENT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span
    from opentelemetry.util.types import Attributes

    from backbone.kafka.records import Ack, ConsumedRecord, Record
    from schemas.model.delivery import Delivery, Headers

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

_TRACEPARENT, _TRACESTATE = "traceparent", "tracestate"
_TRACE = (_TRACEPARENT, _TRACESTATE)
_LONGEST = 512
"""Bytes of a header with trace context that are read (W3C: what a vendor should pass on of a ``tracestate``)."""

_FLUSH_SECONDS = 3.0
"""A process that stops waits for the collector for that long. What is not sent by then is lost."""

_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_PORTS = {"http": 80, "https": 443}

_KAFKA = {"messaging.system": "kafka"}
_SEND = {**_KAFKA, "messaging.operation.name": "send", "messaging.operation.type": "send"}
_PROCESS = {**_KAFKA, "messaging.operation.name": "process", "messaging.operation.type": "process"}

_PROPAGATOR = TraceContextTextMapPropagator()


class _Served(NamedTuple):
    """The request that is being answered: the context of its span, and the ``traceparent`` that it came with."""

    context: Context
    received: bytes | None


_SERVED: ContextVar[_Served | None] = ContextVar("served", default=None)


class Tracing:
    """Makes the spans of one process.

    Args:
        provider: of the SDK; it samples and exports.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("headrace", version("headrace"), schema_url=SCHEMA_URL)

    def close(self) -> None:
        """Send what is left, for some seconds at most; blocks the calling thread."""
        closing = threading.Thread(target=self._provider.shutdown, name="spans-close", daemon=True)
        closing.start()
        closing.join(_FLUSH_SECONDS)

    def serving(self, scope: MutableMapping[str, Any]) -> ServerSpan:
        """The span of a request to a route without parameters; it is current while the span is entered.

        Args:
            scope: of ASGI.
        """
        carrier = _carrier(scope["headers"])
        method, path = scope["method"], scope["path"]
        attributes = {
            "http.request.method": method,
            "http.route": path,
            "url.path": path,
            "url.scheme": scope.get("scheme", "http"),
            "network.protocol.version": scope.get("http_version", "1.1"),
        }
        if request_id := REQUEST_ID.get():
            attributes["headrace.request.id"] = request_id
        span = self._start(f"{method} {path}", SpanKind.SERVER, _PROPAGATOR.extract(carrier, Context()), attributes)
        received = carrier.get(_TRACEPARENT)
        return ServerSpan(span, None if received is None else received.encode())

    @contextlib.contextmanager
    def sending(self, ids: Sequence[str], records: Sequence[Record]) -> Iterator[ProducerSpan]:
        """The span of events on their way into Kafka, of which their records carry the context.

        An event that came with a valid context other than that of its request keeps it; the span links to it.

        Args:
            ids: of the events.
            records: theirs; the headers are changed.
        """
        served = _SERVED.get()
        names = {record.topic for record in records}
        attributes: dict[str, str | int] = dict(_SEND)
        if len(names) == 1:
            attributes["messaging.destination.name"] = records[0].topic
        if len(records) == 1:
            attributes["messaging.message.id"] = ids[0]
        else:
            attributes["messaging.batch.message_count"] = len(records)
        name = f"send {records[0].topic}" if len(names) == 1 else "send"
        span = self._start(name, SpanKind.PRODUCER, served.context if served else Context(), attributes)
        ours = _headers(_context_of(span))
        received = served.received if served else None
        for record in records:
            if record.headers is not None:
                _hand_on(record.headers, ours, received, span)
        with _ended(span):
            yield ProducerSpan(span)

    def processed(self, group: str) -> ConsumerSpans:
        """Spans of the records that a consumer group processes, which end together."""
        return ConsumerSpans(self, group)

    def requesting(
        self, method: str, url: str, delivery: Delivery, event: Mapping[str, bytes], headers: dict[str, str]
    ) -> ClientSpan:
        """The span of a request to a webhook.

        Args:
            method: of the request.
            url: likewise.
            delivery: that it carries.
            event: headers of the event's record.
            headers: of the request; they get the span's context in place of any other.
        """
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "headrace.delivery.id": delivery.id,
            "headrace.endpoint.id": delivery.endpoint,
            "headrace.event.id": delivery.event,
            **_server_of(url),
        }
        if delivery.attempts:
            attributes["http.request.resend_count"] = delivery.attempts
        parent = _PROPAGATOR.extract(_carrier(event.items()), Context())
        span = self._start(method, SpanKind.CLIENT, parent, attributes)
        for name in [name for name in headers if name.lower() in _TRACE]:
            del headers[name]
        headers |= _context_of(span)
        return ClientSpan(span)

    def _start(self, name: str, kind: SpanKind, parent: Context, attributes: Attributes) -> Span:
        return self._tracer.start_span(name, parent, kind, attributes)


class ServerSpan:
    """The span of a request that is answered; ends when it is left.

    Attributes:
        status: of the response, once there is one.
    """

    def __init__(self, span: Span, received: bytes | None) -> None:
        self.status: int | None = None
        self._span = span
        self._received = received

    def __enter__(self) -> Self:
        self._token = _SERVED.set(_Served(set_span_in_context(self._span, Context()), self._received))
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        _SERVED.reset(self._token)
        if self.status is not None:
            self._span.set_attribute("http.response.status_code", self.status)
            if self.status >= _SERVER_ERROR:
                _fail(self._span, str(self.status))
        elif error is not None:
            _fail(self._span, type(error).__qualname__)
        self._span.end()


class ProducerSpan:
    """The span of events that are written."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def acknowledged(self, acks: Sequence[Ack]) -> None:
        """Say where the event is, if it is one."""
        if len(acks) == 1:
            self._span.set_attribute("messaging.destination.partition.id", str(acks[0].partition))
            self._span.set_attribute("messaging.kafka.offset", acks[0].offset)


class ConsumerSpans:
    """The spans of records that are processed in one transaction; not for several threads.

    Args:
        tracing: of this process.
        group: the consumer group.
    """

    def __init__(self, tracing: Tracing, group: str) -> None:
        self._tracing = tracing
        self._attributes = {**_PROCESS, "messaging.consumer.group.name": group}
        self._open: list[Span] = []

    def begin(self, message: ConsumedRecord) -> None:
        """Begin the span of a record, whose headers get its context for what is made of the record."""
        headers = headers_of(message)
        topic = message.topic()
        attributes: dict[str, str | int] = {
            **self._attributes,
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(message.partition()),
            "messaging.kafka.offset": message.offset(),
        }
        event = next((value for name, value in headers if name == EVENT_ID and value), None)
        if event is not None:
            attributes["messaging.message.id"] = event.decode(errors="replace")
        parent = _PROPAGATOR.extract(_carrier(headers), Context())
        span = self._tracing._start(f"process {topic}", SpanKind.CONSUMER, parent, attributes)  # noqa: SLF001
        others = [header for header in headers if header[0] not in _TRACE]
        message.set_headers(others + _headers(_context_of(span)))
        self._open.append(span)

    def end(self, error: Exception | None = None) -> None:
        """End all spans: the transaction is committed, or failed with ``error``."""
        for span in self._open:
            if error is not None:
                _fail(span, type(error).__qualname__)
            span.end()
        self._open.clear()


class ClientSpan:
    """The span of a request to a webhook, which begins when it is rendered."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def end(self, status: int | None, failure: str | None = None) -> None:
        """End it.

        Args:
            status: of the response, None if none came.
            failure: why none came, one of few words.
        """
        if not self._span.is_recording():
            # Not sampled; or a contract's request that is sent a second time as it is.
            return
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        if status is None:
            _fail(self._span, failure or "_OTHER")
        elif status >= _CLIENT_ERROR:
            _fail(self._span, str(status))
        self._span.end()


@contextlib.contextmanager
def _ended(span: Span) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        _fail(span, type(error).__qualname__)
        raise
    finally:
        span.end()


def _fail(span: Span, kind: str) -> None:
    """Mark a span as failed; without the error's text, which may quote what others sent."""
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _carrier(headers: Iterable[tuple[str | bytes, bytes | None]]) -> dict[str, str]:
    """The trace context among headers, several ``tracestate`` as one (W3C, 3.3.1); nothing that is too long."""
    found: dict[str, str] = {}
    for name, value in headers:
        text = name.decode("latin-1") if isinstance(name, bytes) else name
        if text in _TRACE and value is not None:
            plain = value.decode("latin-1")
            if text == _TRACESTATE and text in found:
                plain = f"{found[text]},{plain}"
            found[text] = plain
    return {name: value for name, value in found.items() if len(value) <= _LONGEST}


def _context_of(span: Span) -> dict[str, str]:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, set_span_in_context(span, Context()))
    return carrier


def _headers(carrier: Mapping[str, str]) -> Headers:
    return [(name, value.encode()) for name, value in carrier.items()]


def _hand_on(headers: Headers, ours: Headers, received: bytes | None, span: Span) -> None:
    """Give a record the context of its span, or link the span to the context that the event came with."""
    own = [header for header in headers if header[0] in _TRACE]
    if own and dict(own).get(_TRACEPARENT) != received:
        context = get_current_span(_PROPAGATOR.extract(_carrier(own), Context())).get_span_context()
        if context.is_valid:
            span.add_link(context)
            return
    headers[:] = [header for header in headers if header[0] not in _TRACE] + ours


def _server_of(url: str) -> dict[str, str | int]:
    """Scheme, host and port of a URL. Its path is left out too: with many receivers it is the credential."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        return {}
    if host is None:
        return {}
    return {"url.scheme": scheme, "server.address": host, "server.port": port or _PORTS.get(scheme, 0)}
