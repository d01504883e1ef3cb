"""What HTTP clients do with a request's body and connection, whichever API they call."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.support.credentials import CRMLS, ENVOY, EVENT_SERVICE, EVENTHOS, EXCHANGE, OWN, credentials_on

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

PATHS = {
    "/headrace/v1/workspaces": OWN,
    "/headrace/v1/events": OWN,
    "/api/token?apiKey=x": None,
    "/api/app/events": CRMLS,
    "/event": EVENTHOS,
    "/auth/token": None,
    "/v1/eventtype": EXCHANGE,
    "/v1/event": EXCHANGE,
    "/events/subscription_token": ENVOY,
    "/event-service/graphql": EVENT_SERVICE,
    "/schema-registry/subjects/any": OWN,
}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def keys(gateway: RunningGateway) -> dict[str, str]:
    return credentials_on(gateway)


def authorization(keys: dict[str, str], scheme: str | None) -> dict[str, str]:
    return {} if scheme is None else {"authorization": f"Bearer {keys[scheme]}"}


@pytest.mark.parametrize("coding", ["gzip", "br, gzip", "zstd", "frob", "identity, deflate"])
def test_a_compressed_body_is_told_to_be_one(gateway: RunningGateway, keys: dict[str, str], coding: str) -> None:
    """And which codings are taken (RFC 9110, 15.5.16)."""
    body = gzip.compress(b'{"name": "n"}')
    with gateway.client(None) as http:
        for path, scheme in PATHS.items():
            answer = http.post(
                path, content=body, headers=JSON | {"content-encoding": coding} | authorization(keys, scheme)
            )
            assert answer.status_code == 415, (path, answer.text)
            assert "Content codings are not accepted" in answer.text
            assert answer.headers["accept-encoding"] == "identity"
            assert "json" in answer.headers["content-type"]


def test_a_second_header_does_not_hide_a_coding(gateway: RunningGateway, keys: dict[str, str]) -> None:
    codings = [("content-encoding", "gzip"), ("content-encoding", "identity")]
    with gateway.client(None) as http:
        for path, scheme in PATHS.items():
            headers = [*(JSON | authorization(keys, scheme)).items(), *codings]
            assert http.post(path, content=b"{}", headers=headers).status_code == 415, path


def test_who_says_it_would_compress_nothing_is_answered(gateway: RunningGateway) -> None:
    with gateway.client() as http:
        assert http.get("/headrace/v1/workspaces", headers={"content-encoding": "gzip"}).status_code == 200
        name = {"name": f"ws-{uuid4()}"}
        assert http.post("/headrace/v1/workspaces", json=name, headers={"content-encoding": "identity"}).is_success
