"""Which heads of HTTP requests are refused, and with what."""

from __future__ import annotations

import pytest

from schemas.security.http_head import is_valid_host, refusal_of


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "example.com:8080",
        "a_b",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:80",
        "x:",
        "x%41",
        "[v1.a:b]",
        "a.",
        "X:00080",
    ],
)
def test_a_host_with_or_without_a_port_is_valid(host: str) -> None:
    assert is_valid_host(host)
    assert refusal_of("1.1", [host], []) is None


@pytest.mark.parametrize(
    "host",
    [
        *(
            "",
            " ",
            "a b",
            "a/b",
            "user@host",
            "http://x",
            "x:port",
            "x:99999",
            "x:-1",
            ":80",
            "a:1:2",
            "x:" + "0" * 5_000,
        ),
        *("[::1", "::1", "[:::1]", "[g::1]", "x%zz", "a?b", "a#b", "a\\b", "é", "a\x00", "a, b", "<x>", "x:٣"),
    ],
)
def test_what_is_not_a_host_is_refused(host: str) -> None:
    refusal = refusal_of("1.1", [host], [])
    assert refusal is not None
    assert refusal.status == 400
    assert "Host" in refusal.message


@pytest.mark.parametrize(
    ("version", "hosts", "codings", "status"),
    [
        ("1.1", [], [], 400),
        ("1.0", [], [], None),
        ("1.0", ["a b"], [], 400),
        ("1.0", ["x", "x"], [], 400),
        ("1.1", ["x", "x"], [], 400),
        ("1.1", ["x"], ["chunked"], None),
        ("1.1", ["x"], [" Chunked\t"], None),
        ("1.0", ["x"], ["chunked"], 400),
        ("1.1", ["x"], ["frob, chunked"], 501),
        ("1.1", ["x"], ["gzip", "chunked"], 501),
        ("1.1", ["x"], ["identity, chunked"], 501),
        ("1.1", ["x"], ["frob"], 400),
        ("1.1", ["x"], ["chunked, frob"], 400),
        ("1.1", ["x"], ["chunked, chunked"], 400),
        ("1.1", ["x"], ["chunked", "chunked"], 400),
        ("1.1", ["x"], [",chunked"], 400),
        ("1.1", ["x"], ["chunked,"], 400),
        ("1.1", ["x"], [""], 400),
        ("1.1", ["x"], ["xchunked"], 400),
        ("1.1", ["x"], ["chunked;q=1"], 400),
        ("2.0", ["x"], [], 505),
        ("0.9", [], [], 505),
    ],
)
def test_the_head_is_what_rfc_9112_allows(
    version: str, hosts: list[str], codings: list[str], status: int | None
) -> None:
    refusal = refusal_of(version, hosts, codings)
    assert (None if refusal is None else refusal.status) == status
