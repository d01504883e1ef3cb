"""The spans of one event, over an exporter in memory."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from backbone.kafka.records import Ack, Record
from backbone.publishing.event_writes import EventWrites
from backbone.slices import Slices
from backbone.tracing import spans as module
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.errors import NotAcknowledged
from tests.support.consumed_messages import ConsumedMessage
from tests.support.ended_spans import EndedSpans, traceparent_of

if TYPE_CHECKING:
    from schemas.model.delivery import Headers

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01"
TOPIC = "events.w.n.c"
SECRET = "s3cr3t"


class World(EndedSpans):
    """One process that has all spans."""

    def publish(
        self, *headers: tuple[bytes, bytes], event: Headers | None = None, status: int = 201, count: int = 1
    ) -> Headers:
        """Publish events with a request that has these headers; the headers of the first one's record."""
        scope = {"method": "POST", "path": "/events", "headers": headers, "query_string": f"key={SECRET}".encode()}
        records = [Record(TOPIC, b"{}", headers=[("hr_event", b"e"), *(event or [])]) for _ in range(count)]
        with self.tracing.serving(scope) as request:
            with self.tracing.sending(["e"] * count, records) as sending:
                sending.acknowledged([Ack(3, 7)] * count)
            request.status = status
        assert records[0].headers is not None
        return records[0].headers

    def route(self, headers: Headers, error: Exception | None = None) -> Headers:
        message: Any = ConsumedMessage(TOPIC, b"{}", headers, partition=3, offset=7)
        spans = self.tracing.processed("routers")
        spans.begin(message)
        spans.end(error)
        found: Headers = message.headers()
        return found

    def post(self, event: Headers, status: int | None, failure: str | None = None, **headers: str) -> dict[str, str]:
        """Send a delivery; the headers of the request."""
        url = f"https://user:{SECRET}@hooks.example:8443/{SECRET}?key={SECRET}"
        self.tracing.requesting("POST", url, self.delivery(), dict(event), headers).end(status, failure)
        return headers

    @staticmethod
    def delivery() -> Delivery:
        place = SourceOffset(TOPIC, 3, 7)
        about: dict[str, Any] = {"event": "e", "endpoint": "p", "workspace": "w", "source": place, "attempts": 2}
        return Delivery(id="d", subscriptions=(), routed_at=0, **about)


def test_an_event_is_one_trace_from_the_request_to_the_webhook() -> None:
    world = World()

    published = world.publish((b"traceparent", SAMPLED.encode()), (b"tracestate", b"vendor=1"))
    routed = world.route(published)
    sent = world.post(routed, 204)

    send, request, process, post = world.ended()
    assert [span.kind for span in (request, send, process, post)] == [
        SpanKind.SERVER,
        SpanKind.PRODUCER,
        SpanKind.CONSUMER,
        SpanKind.CLIENT,
    ]
    parents = [f"{span.parent.span_id:016x}" for span in (request, send, process, post) if span.parent]
    assert parents == [PARENT, *(traceparent_of(span).split("-")[2] for span in (request, send, process))]
    assert {traceparent_of(span).split("-")[1] for span in world.ended()} == {TRACE}
    assert dict(published)["traceparent"].decode() == traceparent_of(send)
    assert dict(routed)["traceparent"].decode() == traceparent_of(process)
    assert sent == {"traceparent": traceparent_of(post), "tracestate": "vendor=1"}


def test_spans_have_the_attributes_of_the_conventions_and_no_credential() -> None:
    world = World()

    world.post(world.route(world.publish()), 204)

    send, request, process, post = world.ended()
    assert request.name == "POST /events"
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/events",
        "http.response.status_code": 201,
        "network.protocol.version": "1.1",
        "url.path": "/events",
        "url.scheme": "http",
    }
    kafka = {
        "messaging.system": "kafka",
        "messaging.destination.name": TOPIC,
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 7,
        "messaging.message.id": "e",
    }
    operation = {"messaging.operation.name": "send", "messaging.operation.type": "send"}
    assert (send.name, send.attributes) == (f"send {TOPIC}", kafka | operation)
    operation = {"messaging.operation.name": "process", "messaging.operation.type": "process"}
    group = {"messaging.consumer.group.name": "routers"}
    assert (process.name, process.attributes) == (f"process {TOPIC}", kafka | operation | group)
    assert (post.name, post.attributes) == (
        "POST",
        {
            "headrace.delivery.id": "d",
            "headrace.endpoint.id": "p",
            "headrace.event.id": "e",
            "http.request.method": "POST",
            "http.request.resend_count": 2,
            "http.response.status_code": 204,
            "server.address": "hooks.example",
            "server.port": 8443,
            "url.scheme": "https",
        },
    )
    assert SECRET not in str([span.to_json() for span in world.ended()])


def test_a_batch_is_one_span_that_says_how_many_events_it_has() -> None:
    world = World()

    world.publish(count=2)

    batch = world.ended()[0].attributes or {}
    assert batch["messaging.batch.message_count"] == 2
    assert "messaging.message.id" not in batch
    assert "messaging.kafka.offset" not in batch


async def test_a_repeat_that_writes_nothing_has_no_span() -> None:
    world = World()

    async def nothing(*_: object, **__: object) -> list[Ack]:
        return []

    permit: Any = SimpleNamespace(held=nothing, check_written=nothing, refusal=None)
    producer: Any = SimpleNamespace(send=nothing)
    settings: Any = None
    writes = EventWrites(producer, settings, Slices(), world.tracing)

    assert await writes.write([], 0, permit, lost={}, seconds=1) == []

    assert world.ended() == []


def test_an_event_keeps_the_context_that_it_came_with_and_is_linked() -> None:
    """CloudEvents have one of their own: that of the event's making, not of the request."""
    world = World()
    own = ("traceparent", b"00-11111111111111111111111111111111-2222222222222222-01")

    published = world.publish((b"traceparent", SAMPLED.encode()), event=[own])

    assert published == [("hr_event", b"e"), own]
    assert [f"{link.context.span_id:016x}" for link in world.ended()[0].links] == ["2222222222222222"]


@pytest.mark.parametrize("junk", [b"", b"junk", b"00-" + b"0" * 32 + b"-2222222222222222-01", b"\xff" * 600])
def test_a_context_that_is_none_is_replaced(junk: bytes) -> None:
    world = World()

    published = world.publish((b"traceparent", junk), event=[("traceparent", junk)])
    world.publish(event=[("traceparent", junk)])

    send, request = world.ended()[:2]
    assert request.parent is None
    assert published == [("hr_event", b"e"), ("traceparent", traceparent_of(send).encode())]
    assert world.ended()[2].links == ()


def test_a_trace_that_is_not_sampled_stays_so_on_the_whole_way() -> None:
    world = World()

    published = world.publish((b"traceparent", f"00-{TRACE}-{PARENT}-00".encode()))
    sent = world.post(world.route(published), 204)

    assert world.ended() == []
    assert sent["traceparent"].startswith(f"00-{TRACE}-")
    assert sent["traceparent"].endswith("-00")


def test_an_endpoints_own_header_of_any_case_gives_way_to_the_context() -> None:
    world = World()

    sent = world.post([("traceparent", SAMPLED.encode())], 200, TraceParent="its-own", other="kept")

    assert sent == {"other": "kept", "traceparent": traceparent_of(world.ended()[0])}


@pytest.mark.parametrize(("status", "error"), [(201, None), (429, None), (503, "503")])
def test_a_request_fails_by_our_fault_alone(status: int, error: str | None) -> None:
    world = World()

    world.publish(status=status)

    (request,) = [span for span in world.ended() if span.kind is SpanKind.SERVER]
    assert (request.attributes or {}).get("error.type") == error
    assert request.status.status_code is (StatusCode.ERROR if error else StatusCode.UNSET)


@pytest.mark.parametrize(
    ("status", "failure", "error"),
    [(204, None, None), (302, None, None), (404, None, "404"), (None, "timeout", "timeout"), (None, None, "_OTHER")],
)
def test_a_webhook_fails_by_its_status_or_by_the_reason_for_none(
    status: int | None, failure: str | None, error: str | None
) -> None:
    world = World()

    world.post([], status, failure)

    (post,) = world.ended()
    assert (post.attributes or {}).get("error.type") == error
    assert post.status.status_code is (StatusCode.ERROR if error else StatusCode.UNSET)


def test_a_request_that_is_sent_twice_has_the_span_of_the_first_time(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    delivery = world.delivery()
    span = world.tracing.requesting("POST", "https://hooks.example", delivery, {}, {})

    span.end(401)
    span.end(200)

    assert [(each.attributes or {})["http.response.status_code"] for each in world.ended()] == [401]
    assert caplog.records == []


def test_an_error_is_named_and_not_quoted() -> None:
    world = World()
    scope = {"method": "POST", "path": "/events", "headers": []}

    with pytest.raises(NotAcknowledged), world.tracing.serving(scope), world.tracing.sending([], []):
        raise NotAcknowledged(SECRET)
    world.route([], error=RuntimeError(SECRET))

    errors = [(span.attributes or {}).get("error.type") for span in world.ended()]
    assert errors == ["NotAcknowledged", "NotAcknowledged", "RuntimeError"]
    assert SECRET not in str([span.to_json() for span in world.ended()])


def test_closing_does_not_wait_for_a_collector_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    away, world = threading.Event(), World()
    monkeypatch.setattr(module, "_FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(world.tracing._provider, "shutdown", away.wait)

    world.tracing.close()

    assert not away.is_set()
    away.set()
