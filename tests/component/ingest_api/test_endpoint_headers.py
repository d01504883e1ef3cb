"""The headers that an endpoint's requests carry: what can be sent, and what stays hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.running_gateway import RunningGateway

ENDPOINTS = "/headrace/v1/endpoints"
BODY = {"name": "e", "url": "https://example.com/hook"}


@pytest.fixture(scope="module")
def subscriber(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with gateway.client(gateway.create_client(gateway.create_workspace(), "subscriber")[1]) as http:
        yield http


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Team": "a\r\nHost: b"},
        {"X Team": "a"},
        {"": "a"},
        {"X-Team": "\0"},
        {"X-Team": "a", "x-team": "b"},
        {"X-Long": "é" * 2_048},
        {"Webhook-Signature": "v1,a"},
        {"Content-Length": "1"},
        {"content-type": "text/plain"},
        {"Host": "a"},
        {"Keep-Alive": "a"},
        {"Proxy-Authorization": "Basic a"},
        {"CE-Id": "a"},
    ],
)
def test_a_header_that_cannot_be_sent_is_refused(subscriber: httpx.Client, headers: dict[str, str]) -> None:
    made = subscriber.post(ENDPOINTS, json=BODY).raise_for_status().json()

    for answer in (
        subscriber.post(ENDPOINTS, json=BODY | {"headers": headers}),
        subscriber.patch(f"{ENDPOINTS}/{made['id']}", json={"headers": headers}),
    ):
        assert answer.status_code == 400
        assert [problem["path"] for problem in answer.json()["errors"]] == ["$.headers"]


def test_a_secret_header_that_is_sent_back_as_it_was_shown_stays(subscriber: httpx.Client) -> None:
    made = subscriber.post(ENDPOINTS, json=BODY | {"headers": {"X-Api-Key": "s3cret", "X-Team": "a"}}).json()
    address = f"{ENDPOINTS}/{made['id']}"
    shown = subscriber.get(address).json()["headers"]
    assert shown == {"X-Api-Key": "[hidden]", "X-Team": "a"}

    before = subscriber.get(address).json()["updated_at"]
    assert subscriber.patch(address, json={"headers": shown}).json()["updated_at"] == before
    assert subscriber.patch(address, json={"headers": shown | {"X-Team": "b"}}).json()["updated_at"] > before


def test_a_header_given_as_hidden_must_be_there(subscriber: httpx.Client) -> None:
    made = subscriber.post(ENDPOINTS, json=BODY | {"headers": {"X-Api-Key": "s3cret"}}).raise_for_status().json()
    address = f"{ENDPOINTS}/{made['id']}"

    # One endpoint made after another one's answer would send the placeholder for a credential.
    copied = {member: made[member] for member in ("name", "url", "headers")}
    for answer in (
        subscriber.post(ENDPOINTS, json=copied),
        subscriber.patch(address, json={"headers": {"X-Other-Key": "[hidden]"}}),
    ):
        assert answer.status_code == 400
        assert [problem["path"] for problem in answer.json()["errors"]] == ["$.headers"]
    assert subscriber.patch(address, json={"headers": {"x-api-key": "[hidden]"}}).status_code == 200


def test_what_is_reserved_is_listed(subscriber: httpx.Client) -> None:
    (problem,) = subscriber.post(ENDPOINTS, json=BODY | {"headers": {"Te": "trailers"}}).json()["errors"]
    for name in ("host", "content-length", "transfer-encoding", "webhook-*", "ce-*"):
        assert name in problem["message"]


def test_values_that_are_kept_count_for_the_size_of_headers(subscriber: httpx.Client) -> None:
    made = subscriber.post(ENDPOINTS, json=BODY | {"headers": {"X-Api-Key": "s" * 3_000}}).raise_for_status().json()
    address = f"{ENDPOINTS}/{made['id']}"

    grown = subscriber.patch(address, json={"headers": {"X-Api-Key": "[hidden]", "X-Team": "a" * 1_100}})
    assert grown.status_code == 400
    assert [problem["path"] for problem in grown.json()["errors"]] == ["$.headers"]
    assert subscriber.patch(address, json={"headers": {"X-Api-Key": "[hidden]", "X-Team": "a"}}).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_method_is_one_that_has_a_body(subscriber: httpx.Client, method: str) -> None:
    made = subscriber.post(ENDPOINTS, json=BODY | {"method": method}).raise_for_status().json()
    assert made["method"] == method
    for answer in (
        subscriber.post(ENDPOINTS, json=BODY | {"method": "GET"}),
        subscriber.patch(f"{ENDPOINTS}/{made['id']}", json={"method": "DELETE"}),
    ):
        assert [problem["path"] for problem in answer.json()["errors"]] == ["$.method"]
