"""What an attempt keeps of its request and response: as sent, bounded, and without a credential."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from connectors.webhook.kept_exchange import kept_head, kept_request
from connectors.webhook.rendering import Request
from schemas.model.endpoint import Authorization, AuthorizationType, Endpoint, EndpointType

HIDDEN = "***"


def endpoint(*sealed: str, authorization: Authorization | None = None) -> Endpoint:
    return Endpoint(
        id="e",
        workspace="w",
        name="hook",
        type=EndpointType.WEB_HOOK,
        sealed_headers=dict.fromkeys(sealed, "encrypted"),
        authorization=authorization,
        created_at=0,
        updated_at=0,
    )


def request(url: str = "https://receiver.example/hook", body: bytes = b"{}", **headers: str) -> Request:
    return Request(method="POST", url=url, headers=headers, body=body)


def test_a_request_is_kept_as_sent() -> None:
    sent = {"Content-Type": "application/json", "webhook-id": "d", "webhook-signature": "v1,Zm9vYmFyYmF6Zm9vYmFyYmF6"}
    kept = kept_request(request(body="{é}".encode(), **sent), endpoint(), 100)
    assert (kept.method, kept.url, kept.headers) == ("POST", "https://receiver.example/hook", sent)
    assert (kept.body, kept.size) == ("{é}", 4)


def test_its_body_is_cut_and_its_size_told() -> None:
    kept = kept_request(request(body="aé".encode() * 10), endpoint(), 5)
    assert (kept.body, kept.size) == ("aéa\ufffd", 30)


def test_headers_that_are_stored_encrypted_are_hidden_however_they_are_spelled() -> None:
    kept = kept_request(request(**{"X-API-KEY": "s3cret", "X-Tenant": "acme"}), endpoint("x-api-key"), 100)
    assert kept.headers == {"X-API-KEY": HIDDEN, "X-Tenant": "acme"}


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_the_authorization_is_hidden_wherever_it_comes_from(name: str) -> None:
    granted = Authorization(type=AuthorizationType.API_KEY, secret="sealed")
    assert kept_request(request(**{name: "Bearer s3cret"}), endpoint(), 100).headers == {name: HIDDEN}
    of_endpoint = kept_request(request(**{name: "Bearer s3cret"}), endpoint(authorization=granted), 100)
    assert of_endpoint.headers == {"Authorization": HIDDEN}
    assert kept_request(request(), endpoint(authorization=granted), 100).headers == {"Authorization": HIDDEN}


def test_credentials_in_the_url_are_hidden() -> None:
    url = "https://user:s3cret@receiver.example/hook?api_key=s3cret&page=2"
    assert (
        kept_request(request(url), endpoint(), 100).url
        == f"https://{HIDDEN}@receiver.example/hook?api_key={HIDDEN}&page=2"
    )


def test_credentials_of_a_response_are_hidden() -> None:
    answered = {
        "Content-Type": "text/plain",
        "Set-Cookie": "session=1234567890",
        "Retry-After": "5",
        "X-Auth-Token": "t",
    }
    expected = {"Content-Type": "text/plain", "Set-Cookie": HIDDEN, "Retry-After": "5", "X-Auth-Token": HIDDEN}
    assert kept_head(answered) == expected


def test_a_head_is_bounded_and_repeated_headers_are_joined() -> None:
    many = CIMultiDict([("Via", "a"), ("Via", "b"), *((f"X-Header-{number}", "a " * 400) for number in range(60))])
    kept = kept_head(CIMultiDictProxy(many))
    assert kept["Via"] == "a, b"
    assert sum(len(name) + len(value) for name, value in kept.items()) <= 4_096 + 2
    assert len(kept["X-Header-0"]) == 512
