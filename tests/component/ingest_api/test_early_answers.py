"""Answers that are given before the whole request has come: the client, which sends all of it first, reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.raw_http import exchange

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

LARGE = b"x" * 9_437_184
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE)
COUNTED = b"Content-Length: %d\r\n\r\n%b" % (len(LARGE), LARGE)
PIPELINED = COUNTED + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000


@pytest.fixture(scope="module")
def authorization(gateway: RunningGateway) -> bytes:
    _, key = gateway.create_client(gateway.create_workspace(), "producer")
    return b"Authorization: Bearer " + key.encode() + b"\r\n"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (b"/headrace/v1/events", b"", 401),
        (b"/headrace/v1/events", b"Content-Type: application/cloudevents+json\r\n", 413),
        (b"/headrace/v1/filters", b"Content-Type: application/json\r\n", 413),
        (b"/headrace/v1/nowhere", b"", 404),
        (b"/headrace/v1/events/%ff", b"", 400),
        (b"/v1/event", b"", 401),
        (b"/event/send", b"", 400),
        (b"/api/app/events", b"", 401),
        (b"/event-service/graphql", b"", 401),
        (b"/schema-registry/subjects/a", b"", 413),
        (b"/healthz", b"", 405),
    ],
)
def test_an_answer_before_the_end_of_a_large_body_is_read(
    gateway: RunningGateway, authorization: bytes, path: bytes, headers: bytes, status: int
) -> None:
    credential = b"" if status == 401 else authorization
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % path + credential + headers
    for body in (COUNTED, CHUNKED, PIPELINED):
        answered = exchange(gateway.url, head, body)
        assert re.findall(rb"HTTP/1.1 (\d+) ", answered) == [b"%d" % status]


def test_a_connection_that_stays_open_drops_the_body_and_takes_the_next_request(gateway: RunningGateway) -> None:
    following = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answered = exchange(gateway.url, b"POST /v1/event HTTP/1.1\r\nHost: x\r\n", COUNTED, following)
    assert re.findall(rb"HTTP/1.1 (\d+) ", answered) == [b"401", b"200"]


@pytest.mark.parametrize(
    ("beginning", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ", 431),
        (b"GET /healthz?", 431),
        (b"POST /v1/event HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: frob, chunked\r\n\r\n", 501),
        (b"POST /v1/event HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01", 400),
    ],
)
def test_what_is_said_of_a_bad_head_is_read(gateway: RunningGateway, beginning: bytes, status: int) -> None:
    answered = exchange(gateway.url, beginning, LARGE)
    assert re.findall(rb"HTTP/1.1 (\d+) ", answered) == [b"%d" % status]
