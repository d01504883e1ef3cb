from __future__ import annotations

import pytest

from connectors.websocket import handshake

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
LINE = b"GET /connection/websocket HTTP/1.1"
FIELDS = {
    b"Host": b"node.example:8000",
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Version": b"13",
    b"Sec-WebSocket-Key": KEY,
}


def head(*more: bytes, line: bytes = LINE, without: bytes = b"", **changed: bytes) -> bytes:
    fields = {**FIELDS, **{name.replace("_", "-").encode(): value for name, value in changed.items()}}
    lines = [b"%b: %b" % (name, value) for name, value in fields.items() if name != without]
    return b"\r\n".join([line, *lines, *more]) + b"\r\n\r\n"


def test_a_plain_handshake_is_read_and_answered_as_the_rfc_has_it() -> None:
    found = handshake.read(head())

    assert found is not None
    assert (found.host, found.origin, found.offered) == ("node.example:8000", None, [])
    # The example of RFC 6455, 1.3.
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in found.answer(None)
    assert found.answer(None).endswith(b"\r\n\r\n")
    assert b"\r\nSec-WebSocket-Protocol: a\r\n\r\n" in found.answer("a")


def test_a_browsers_handshake_is_read() -> None:
    browser = head(
        b"Origin: https://shop.example",
        b"User-Agent:Mozilla/5.0 (X11; Linux)\t",
        b"Sec-WebSocket-Protocol: centrifuge-protobuf, centrifuge-json",
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        b"Cookie:",
        Connection=b"keep-alive, Upgrade",
        Upgrade=b"WebSocket",
    )

    found = handshake.read(browser)

    assert found is not None
    assert found.origin == "https://shop.example"
    assert found.offered == ["centrifuge-protobuf", "centrifuge-json"]


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"\r\n\r\n",
        head()[:-1],
        head() + b"\x81\x80",
        head() + head(),
        head().replace(b"\r\n", b"\n"),
        head(line=b"POST /connection/websocket HTTP/1.1"),
        head(line=b"GET /connection/websocket HTTP/1.0"),
        head(line=b"GET /connection/websocket HTTP/2.0"),
        head(line=b"GET  /connection/websocket HTTP/1.1"),
        head(line=b"GET /connection/websocket?format=protobuf HTTP/1.1"),
        head(line=b"GET /connection/websockets HTTP/1.1"),
        head(line=b"GET http://x/connection/websocket HTTP/1.1"),
        *(head(without=name) for name in FIELDS),
        *(head(b"%b: %b" % field) for field in FIELDS.items()),
        head(b"host: other"),
        head(Host=b"a b"),
        head(Host=b"x:port"),
        head(Host=b""),
        head(Upgrade=b"h2c"),
        head(Connection=b"keep-alive"),
        head(Connection=b"upgrade-insecure"),
        head(Sec_WebSocket_Version=b"8"),
        head(Sec_WebSocket_Key=b"short"),
        head(Sec_WebSocket_Key=KEY[:-3] + b"R=="),
        head(b"Content-Length: 0"),
        head(b"Transfer-Encoding: chunked"),
        head(b"Expect: 100-continue"),
        head(b"X-Space : a"),
        head(b" folded: a"),
        head(b"X-Folded: a", b" b"),
        head(b"no colon"),
        head(b": a"),
        head(b"X-Nul: a\0b"),
        head(b"X-Cr: a\rb"),
        head(b"X-Bytes: \xff"),
        head(b"X-Long: " + b"a" * 9_000),
    ],
)
def test_everything_else_is_for_the_http_server(other: bytes) -> None:
    assert handshake.read(other) is None
