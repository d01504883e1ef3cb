"""What the control app answers when something of its own fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from fastapi.routing import _EffectiveRouteContext
from opentelemetry import trace
from starlette.routing import Match

from families.http import families
from ingest_api.management.app import create_control_app, prepare_routes
from tests.support.ended_spans import EndedSpans

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from ingest_api.gateway import Gateway


async def test_a_failure_is_answered_and_logged_once_and_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    app = create_control_app((), cast("Gateway", None), version="1", hot_methods=lambda _: ())

    @app.get("/fails")
    async def fails() -> Any:
        raise ZeroDivisionError("a secret of the inside")

    # What the app raised would be raised here: the server logs it again and closes the connection.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway") as http:
        answer = await http.get("/fails")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert [record.message for record in caplog.records] == ["request failed"]


async def test_the_framework_makes_no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have the query, in which some families take credentials."""
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    spans = EndedSpans()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", spans.provider)
    app = create_control_app((), cast("Gateway", None), version="1", hot_methods=lambda _: ())

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway") as http:
        await http.get("/healthz?access-key=secret")

    assert spans.ended() == []


@pytest.mark.parametrize(("method", "path"), [("POST", "/schema-registry/subjects/any"), ("GET", "/healthz")])
async def test_a_client_that_goes_before_its_request_is_complete_is_no_failure(
    caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    app = create_control_app(families(), cast("Gateway", None), version="1", hot_methods=lambda _: ())
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
    sent = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)

    assert sent == []
    assert caplog.records == []


def test_the_first_request_finds_its_route_built(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_control_app(families(), cast("Gateway", None), version="1", hot_methods=lambda _: ())
    prepare_routes(app)
    monkeypatch.delattr(_EffectiveRouteContext, "from_api_route")
    scope = {"type": "http", "path": "/headrace/v1/endpoints", "method": "GET", "root_path": ""}
    assert any(route.matches(scope)[0] is Match.FULL for route in app.routes)
