from __future__ import annotations

import secrets
import time
from uuid import uuid4

import pytest

from schemas.model.secrecy import hides, is_credential, looks_secret

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.mark.parametrize(
    "name",
    [
        "x-jwt",
        "X-JWT-Assertion",
        "pin",
        "card-pin",
        "cardPin",
        "sig",
        "X-Hub-Signature-256",
        "signature",
        "otp",
        "pwd",
        "user_pass",
        "PHPSESSID",
        "JSESSIONID",
        "session",
        "x-session-id",
        "sid",
        "x-auth",
        "hmac",
        "client_assertion",
        "SAMLResponse",
        "credentials",
    ],
)
def test_names_of_credentials(name: str) -> None:
    assert is_credential(name)
    assert hides(name, "1234")


@pytest.mark.parametrize(
    "name",
    ["color", "pinned", "spin", "signal", "design", "authority", "author", "passage", "compass", "x-request-id", "key"],
)
def test_names_of_other_things(name: str) -> None:
    assert not hides(name, "1234")


@pytest.mark.parametrize(
    "value",
    [
        JWT,
        f"v1 {JWT}",
        "Basic bWU6c2VjcmV0",
        "bearer x",
        "ghp_abcdefgh12345678",
        "hrk_short-but-marked",
        "-----BEGIN PRIVATE KEY-----",
        secrets.token_hex(16),
        secrets.token_urlsafe(32),
        "https://hooks.example/services/T00/" + secrets.token_hex(12),
        "a=1;t=" + secrets.token_hex(20),
    ],
    ids=["jwt", "jwt in text", "basic", "bearer", "github", "own", "pem", "hex", "base64", "url", "in text"],
)
def test_values_that_look_like_credentials(value: str) -> None:
    assert looks_secret("x-acme", value)
    assert looks_secret("v", value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "red",
        "1234567890123456789012345",
        "application/vnd.company.orders+json; version=2",
        "my-long-product-name-of-the-2024-edition",
        "a sentence of some words, and some more of them",
        "2024-05-22T08:55:23.460103+00:00",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1",
        "orders.created.warehouse_north.internal",
        "0190f0a0-0000-7000-8000-0123456789ab",
    ],
)
def test_values_that_do_not(value: str) -> None:
    assert not looks_secret("x-acme", value)


@pytest.mark.parametrize(
    "name", ["x-request-id", "orderId", "traceparent", "ETag", "next_page_token", "Idempotency-Key", "event-identifier"]
)
def test_names_that_stand_for_something_else_keep_random_values(name: str) -> None:
    assert not hides(name, f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
    assert not hides(name, str(uuid4()))
    assert hides(name, f"Bearer {secrets.token_hex(16)}")
    assert hides(name, JWT)


def test_long_texts_take_no_time() -> None:
    began = time.perf_counter()
    for text in ("a1-" * 100_000, "aB3" * 100_000, "eyJ" * 100_000, "x" * 300_000, "-" * 300_000):
        hides("x-acme", text)
        hides(text, text)
    assert time.perf_counter() - began < 1
