"""Requests as the server hands them over, message by message, to the app that publishes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from fastapi import APIRouter

from backbone.slices import Slices
from ingest_api import problems
from ingest_api.family import Family, HotRoute
from ingest_api.http import Request, Response
from ingest_api.metrics import Metrics
from ingest_api.publish import HotApp
from ingest_api.request_deadline import Patience
from ingest_api.tallies import Tallies
from ingest_api.traced import TracedApp
from schemas.model.errors import UnsupportedMediaType
from schemas.model.event import Receipt
from tests.support.ended_spans import EndedSpans

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from backbone.tracing.spans import Tracing
    from ingest_api.gateway import Gateway

SCOPE: dict[str, Any] = {"path": "/events", "method": "POST", "headers": [], "query_string": b""}


async def _sent(
    handler: Callable[[Request, Gateway], Awaitable[Response]],
    *messages: dict[str, Any],
    tracing: Tracing | None = None,
) -> list[MutableMapping[str, Any]]:
    """What an app with this one route sends to a client that sends these messages."""
    hot = (HotRoute("POST", "/events", handler, {}),)
    family = Family(name="f", prefixes=(), render=problems.render, hot=hot, control=APIRouter(), schemas={})
    patience = Patience(60)
    gateway = cast(
        "Gateway",
        SimpleNamespace(
            settings=SimpleNamespace(max_body_bytes=8),
            metrics=Metrics(),
            in_time=patience.wait,
            unhurried=patience.without,
            slices=Slices(),
        ),
    )
    received, sent = iter(messages), []

    async def receive() -> dict[str, Any]:
        return next(received)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    app = HotApp((family,), gateway)
    await (app if tracing is None else TracedApp(app, tracing))(SCOPE, receive, send)
    return sent


async def _echo(request: Request, _: Gateway) -> Response:
    return Response(200, await request.body())


def _part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_parts_is_one_body() -> None:
    head, body = await _sent(_echo, _part(b"ab", more=True), _part(b"cd", more=False))
    assert (head["status"], body["body"]) == (200, b"abcd")


async def test_parts_that_are_too_much_together_are_refused() -> None:
    head, _ = await _sent(_echo, _part(b"12345678", more=True), _part(b"9", more=True))
    assert head["status"] == 413


async def test_a_client_that_leaves_before_its_request_is_complete_is_not_answered() -> None:
    assert await _sent(_echo, {"type": "http.disconnect"}) == []
    assert await _sent(_echo, _part(b"half", more=True), {"type": "http.disconnect"}) == []


async def test_a_bug_is_answered_500_in_the_familys_shape_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: Request, __: Gateway) -> Response:
        raise ZeroDivisionError("a secret of the inside")

    head, body = await _sent(fail)
    assert (head["status"], dict(head["headers"])[b"content-type"]) == (500, b"application/problem+json")
    assert b"secret" not in body["body"]
    assert [record.message for record in caplog.records] == ["request failed"]


async def test_a_traced_request_has_its_status_and_one_that_was_left_has_none() -> None:
    spans = EndedSpans()

    await _sent(_echo, _part(b"123456789", more=False), tracing=spans.tracing)
    await _sent(_echo, {"type": "http.disconnect"}, tracing=spans.tracing)

    statuses = [(span.name, (span.attributes or {}).get("http.response.status_code")) for span in spans.ended()]
    assert statuses == [("POST /events", 200), ("POST /events", None)]


async def test_a_body_that_is_coded_or_in_another_charset_is_refused() -> None:
    async def never(message: Any = None) -> Any:
        raise AssertionError(message)

    for header in ((b"content-encoding", b"gzip"), (b"content-type", b"application/json; charset=latin-1")):
        with pytest.raises(UnsupportedMediaType):
            Request({"headers": [header]}, never, 8, Slices()).media_type()


def test_events_are_counted_by_type_up_to_a_bound_and_repeats_not_again() -> None:
    metrics = Metrics(1)

    def receipt(topic: str, *, repeated: bool = False) -> Receipt:
        return Receipt(id="i", topic=topic, partition=0, offset=0, received_at=0, repeated=repeated)

    metrics.acknowledged([receipt("a")], 0.1)
    metrics.acknowledged([receipt("a"), receipt("b"), receipt("c"), receipt("a", repeated=True)], 0.1)
    metrics.acknowledged([receipt("c"), receipt("b", repeated=True)], 0.1)
    metrics.acknowledged([receipt("b", repeated=True)], 0.1)
    shown = metrics.exposition().decode()
    assert 'headrace_ingest_type_events_total{topic="a"} 2.0' in shown
    assert 'headrace_ingest_type_events_total{topic="other"} 3.0' in shown
    assert "headrace_ingest_acknowledgement_seconds_count 4.0" in shown


async def test_counts_are_handed_over_in_the_next_round_of_the_loop() -> None:
    handed: list[dict[Any, int]] = []
    tallies = Tallies((1.0,), lambda counts, _: handed.append(dict(counts)))
    tallies.count(("events", "a"))
    tallies.count(("events", "a"), 2)
    assert handed == []
    await asyncio.sleep(0)
    tallies.count(("events", "a"))
    await asyncio.sleep(0)
    assert handed == [{("events", "a"): 3}, {("events", "a"): 1}]
