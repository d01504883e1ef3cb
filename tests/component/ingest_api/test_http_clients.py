"""What HTTP clients do with a request's body and connection, whichever API they call."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest

if TYPE_CHECKING:
    from tests.running_gateway import RunningGateway

PATHS = (
    "/headrace/v1/workspaces",
    "/api/token?apiKey=x",
    "/event",
    "/auth/token",
    "/v1/eventtype",
    "/events/subscription_token",
    "/event-service/graphql",
)
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("path", PATHS)
def test_a_compressed_body_is_told_to_be_one(gateway: RunningGateway, path: str) -> None:
    body = gzip.compress(b'{"name": "n"}')
    with gateway.client() as http:
        answer = http.post(path, content=body, headers=JSON | {"content-encoding": "gzip"})
    assert answer.status_code == 415, answer.text
    assert "Content codings are not accepted" in answer.text
    assert answer.headers["content-type"] in {"application/json", "application/problem+json"}


def test_who_says_it_would_compress_nothing_is_answered(gateway: RunningGateway) -> None:
    with gateway.client() as http:
        assert http.get("/headrace/v1/workspaces", headers={"content-encoding": "gzip"}).status_code == 200
        name = {"name": f"ws-{uuid4()}"}
        assert http.post("/headrace/v1/workspaces", json=name, headers={"content-encoding": "identity"}).is_success


@pytest.mark.parametrize("path", ["/headrace/v1/workspaces", "/v1/eventtype"])
def test_a_body_in_another_charset_is_told_to_be_one(gateway: RunningGateway, path: str) -> None:
    """As curl sends one from a Windows console."""
    answer = httpx.post(f"{gateway.url}{path}", content='{"name": "café"}'.encode("cp1252"), headers=JSON)
    assert answer.status_code == 400, answer.text
    assert "must be JSON in UTF-8" in answer.text
