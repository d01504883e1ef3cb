from __future__ import annotations

import pytest

from schemas.model.endpoint import NameValue, RequestTemplate
from schemas.security.request_servers import holds_credentials, sender_names_host, sender_names_server


@pytest.mark.parametrize(
    "url",
    [
        "http://${.body.host}/",
        "${.body.scheme}://there/",
        "http${.body.s}://there/",
        "http://there:${.body.port}/x",
        "http://there${.body.x}",
        "http://${.headers.x-host}.example.com/",
        "http://${.query.a}?b=c",
        'http://${.body["a/b"]}/',
        'http://${.body["a?b"]}/',
        "http://${.body.user}@there/",
        "http://${.oauthResponse.body.host}.${.body.x}/",
        "http://${.oauthResponseOf.body}/",
        "//${.body.host}/",
        "${.body.url}",
    ],
)
def test_a_sender_names_the_server(url: str) -> None:
    assert sender_names_server(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://there/",
        "http://there/${.body.id}",
        "http://there?x=${.body.id}",
        "http://there#${.body.id}",
        "http://there:80/a/${.body.id}/b?c=${.query.d}",
        "http://${.oauthResponse.body.instance}/x",
        "http://there/$%7B.body.x%7D",
    ],
)
def test_a_sender_does_not(url: str) -> None:
    assert not sender_names_server(url)


def template(*headers: tuple[str, str], raw: str | None = None, body: tuple[NameValue, ...] = ()) -> RequestTemplate:
    named = tuple(NameValue(name=name, value=value) for name, value in headers)
    return RequestTemplate(headers=named, raw_body=raw, body=body)


HOLDING = [
    template(("Authorization", "Bearer abc")),
    template(("authorization", "Bearer ${.body.x}")),
    template(("x-jwt", "1")),
    template(("x-acme", "Bearer abc")),
    template(("x-acme", "${.oauthResponse.body.access_token}")),
    template(raw='{"login": {"password": "p"}}'),
    template(raw='[{"list": ["Bearer abcdef"]}]'),
    template(raw="token=ghp_abcdefgh12345678"),
    template(body=(NameValue(name="client_secret", value="s"),)),
    RequestTemplate(query=(NameValue(name="key", value="sealed", sealed=True),)),
]


@pytest.mark.parametrize("held", HOLDING, ids=range(len(HOLDING)))
def test_requests_that_hold_credentials(held: RequestTemplate) -> None:
    assert holds_credentials("http://there/", held, has_token=False)


@pytest.mark.parametrize(
    "none",
    [
        template(),
        template(("content-type", "application/json"), ("x-color", "red")),
        template(("Authorization", "${.headers.authorization}")),
        template(raw='{"id": "${.body.id}"}'),
    ],
    ids=range(4),
)
def test_requests_that_hold_none(none: RequestTemplate) -> None:
    assert not holds_credentials("http://there/@x", none, has_token=False)
    assert holds_credentials("http://there/", none, has_token=True)
    assert holds_credentials("http://me:secret@there/", none, has_token=False)


@pytest.mark.parametrize(
    ("url", "holds"),
    [
        ("http://${.body.host}/x?api_key=abc", True),
        ("http://${.body.host}?b=1&access-token=abc#f", True),
        ('http://${.body["a?b"]}/x?password=abc', True),
        ("http://${.body.host}/hooks/T0A1B2C3D/x7Kp2mQ9vR4sT8wZ1yB6/", True),
        ("http://${.body.host}/x?api_key=${.body.key}&page=2", False),
        ("http://${.body.host}/orders/${.body.customerIdentifier2024x}/lines", False),
        ("http://${.body.host}/orders/9c076df8-a80d-4e24-96c8-08d8dd522c11", False),
        ("http://${.body.host}/x#api_key=abc", False),
    ],
)
def test_credentials_in_the_url(url: str, holds: bool) -> None:  # noqa: FBT001
    assert holds_credentials(url, template(), has_token=False) is holds


def test_the_host_header() -> None:
    assert sender_names_host(NameValue(name="Host", value="${.body.host}"))
    assert not sender_names_host(NameValue(name="Host", value="there"))
    assert not sender_names_host(NameValue(name="X-Host", value="${.body.host}"))
