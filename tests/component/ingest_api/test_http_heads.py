"""Requests that are not HTTP/1.1 as RFC 9112 has it: refused by every path, and the connection is closed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.raw_http import exchange, status_of

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

CHUNKS = b"\r\n2\r\n{}\r\n0\r\n\r\n"
HOST = b"Host: x\r\n"

REFUSED = {
    400: [
        *(b"", b"Host:\r\n", b"Host: a b\r\n", b"Host: a/b\r\n", b"Host: x:port\r\n", b"Host: [::1\r\n"),
        *(HOST * 2, HOST + b"Host: y\r\n", HOST + b"hOST: y\r\n"),
        HOST + b"Content-Length: 2\r\nContent-Length: 2\r\n",
        HOST + b"Content-Length: 2\r\nContent-Length: 3\r\n",
        HOST + b"Content-Length: 2, 2\r\n",
        *(HOST + b"Content-Length: %b\r\n" % value for value in (b"+2", b"-2", b"0x2", b"2a", b"", b"1_0", b"9" * 40)),
        HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        HOST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        *(
            HOST + b"Transfer-Encoding: %b\r\n" % value
            for value in (b"frob", b"chunked, frob", b"chunked, chunked", b"identity", b"xchunked", b",chunked", b"")
        ),
        HOST + b"Transfer-Encoding:\r\n chunked\r\n",
        HOST + b"X-Folded: a\r\n b\r\n",
        HOST + b"X-Bare: a\nX-Other: b\r\n",
        HOST + b"X-Bare: a\rX-Other: b\r\n",
        HOST + b"X-Nul: a\x00b\r\n",
        HOST + b"Content-Length : 2\r\n",
        b" " + HOST,
        HOST + b"no colon\r\n",
    ],
    501: [HOST + b"Transfer-Encoding: %b\r\n" % value for value in (b"frob, chunked", b"gzip, chunked")]
    + [HOST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"],
}


@pytest.mark.parametrize("path", [b"/headrace/v1/events", b"/v1/event", b"/healthz"])
def test_a_head_that_http_does_not_allow_is_refused(gateway: RunningGateway, path: bytes) -> None:
    unexpected = []
    for expected, heads in REFUSED.items():
        for head in heads:
            answered = exchange(gateway.url, b"POST %b HTTP/1.1\r\n" % path + head + CHUNKS)
            if status_of(answered) != expected or b"connection: close" not in answered:
                unexpected.append((head, answered))
    assert unexpected == []


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"GET /healthz HTTP/1.1", 200),
        (b"GET http://x/healthz HTTP/1.1", 200),
        (b"GET /healthz HTTP/1.0", 200),
        (b"GET /healthz HTTP/2.0", 505),
        (b"GET /healthz HTTP/0.9", 505),
        (b"GET /healthz HTTP/1.2", 400),
        (b"GET /healthz#there HTTP/1.1", 400),
        (b"GET /healthz\xff HTTP/1.1", 400),
        (b"GET /healthz?\xff HTTP/1.1", 400),
        (b"CONNECT x:1 HTTP/1.1", 400),
        (b"GET http://x HTTP/1.1", 200),
        (b"OPTIONS * HTTP/1.1", 404),
    ],
)
def test_a_request_line_is_what_http_allows(gateway: RunningGateway, request_line: bytes, expected: int) -> None:
    answered = exchange(gateway.url, request_line + b"\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert status_of(answered) == expected, answered


def test_http_1_0_needs_no_host_and_has_no_chunks(gateway: RunningGateway) -> None:
    assert status_of(exchange(gateway.url, b"GET /healthz HTTP/1.0\r\n\r\n")) == 200
    assert status_of(exchange(gateway.url, b"POST /healthz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" + CHUNKS)) == 400


def test_requests_before_a_refused_one_are_answered(gateway: RunningGateway) -> None:
    good = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    answered = exchange(gateway.url, good * 2 + b"GET /healthz HTTP/1.1\r\n\r\n" + good)
    assert re.findall(rb"HTTP/1.1 (\d+) ", answered) == [b"200", b"200", b"400"]
