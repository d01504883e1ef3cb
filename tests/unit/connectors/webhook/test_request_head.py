"""The first bytes of a request: no value can become more than the header that it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.webhook.request_head import HeadLines
from connectors.webhook.request_target import Origin, UnusableUrl, target_of
from schemas.model.request_headers import NEVER_SENT

LINES = HeadLines("Headrace")


def test_names_keep_their_order_and_spelling_and_defaults_follow() -> None:
    assert LINES.of({"webhook-id": "1", "X-%s": "100%"}, "", 4).split("\r\n") == [
        "webhook-id: 1",
        "X-%s: 100%",
        "User-Agent: Headrace",
        "Accept-Encoding: identity",
        "Accept: */*",
        "Content-Type: application/octet-stream",
        "Content-Length: 4",
        "",
        "",
    ]


def test_a_header_replaces_the_default_of_its_name_and_of_two_the_later_one_is_sent() -> None:
    lines = LINES.of({"USER-AGENT": "me", "x": "1", "content-type": "a/b", "X": "2"}, "", 0).split("\r\n")
    assert [line for line in lines if line.lower().startswith(("user", "x", "content-t"))] == [
        "USER-AGENT: me",
        "X: 2",
        "content-type: a/b",
    ]


def test_the_credentials_of_a_url_give_way_to_a_header() -> None:
    assert LINES.of({}, "Authorization: Basic x\r\n", 0).startswith("Authorization: Basic x\r\n")
    assert "Basic" not in LINES.of({"authorization": "Bearer y"}, "Authorization: Basic x\r\n", 0)


@pytest.mark.parametrize(
    "value", ["a\r\nX-Injected: b", "a\nb", "a\rb", "\r\n\r\nGET / HTTP/1.1", "\0", "a\x0bb", "\x7f"]
)
def test_a_value_with_control_characters_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        LINES.of({"X": value, "Y": "z"}, "", 0)


@pytest.mark.parametrize(
    "name", ["", " ", "X ", "X:", "X\r\nY", "X\nY", "ü", "X\0", *sorted(NEVER_SENT - {"content-type"})]
)
def test_a_name_that_is_none_or_frames_the_message_is_refused(name: str) -> None:
    for spelled in {name, name.upper(), name.title()}:
        with pytest.raises(ValueError, match="cannot be sent"):
            LINES.of({spelled: "x"}, "", 0)


@given(headers=st.dictionaries(st.text(max_size=6), st.text(max_size=12), max_size=4), length=st.integers(0, 9))
def test_a_head_has_as_many_lines_as_headers_or_is_refused(headers: dict[str, str], length: int) -> None:
    try:
        lines = LINES.of(headers, "", length).encode()
    except ValueError:
        return
    head, end, rest = lines.partition(b"\r\n\r\n")
    assert (end, rest) == (b"\r\n\r\n", b"")
    names = [line.split(b":")[0].decode().lower() for line in head.split(b"\r\n")]
    defaults = {"user-agent", "accept-encoding", "accept", "content-type", "content-length"}
    assert sorted(names) == sorted({name.lower() for name in headers} | defaults)


@given(st.text(max_size=30))
def test_a_url_begins_one_request_or_none(text: str) -> None:
    for url in (f"http://{text}", f"http://host/{text}", f"https://u:p@host/?{text}"):
        try:
            target = target_of("POST", url)
        except ValueError:
            continue
        request, host, end = target.start.split("\r\n")
        assert request.startswith("POST /")
        assert request.endswith(" HTTP/1.1")
        assert request.count(" ") == 2
        assert host.startswith("Host: ")
        assert end == ""
        assert host[6:].isascii()
        assert host[6:].isprintable()


@pytest.mark.parametrize(
    ("url", "origin", "host"),
    [
        ("http://receiver.example/", Origin("receiver.example", 80, is_tls=False), "receiver.example"),
        ("https://receiver.example", Origin("receiver.example", 443, is_tls=True), "receiver.example"),
        ("https://receiver.example:443/", Origin("receiver.example", 443, is_tls=True), "receiver.example"),
        ("http://receiver.example:8080/", Origin("receiver.example", 8080, is_tls=False), "receiver.example:8080"),
        ("http://MÜNCHEN.example/", Origin("xn--mnchen-3ya.example", 80, is_tls=False), "xn--mnchen-3ya.example"),
        ("http://[::1]:81/", Origin("::1", 81, is_tls=False), "[::1]:81"),
        ("http://me:s3cret@10.0.0.1/", Origin("10.0.0.1", 80, is_tls=False), "10.0.0.1"),
    ],
)
def test_the_server_of_a_url(url: str, origin: Origin, host: str) -> None:
    target = target_of("POST", url)
    assert target.origin == origin
    assert target.start.endswith(f"\r\nHost: {host}\r\n")


@pytest.mark.parametrize(
    "url", ["http://2130706433/", "http://127.1/", "http://0x7f.0.0.1/", "http://127.0.0.01/", "x:y"]
)
def test_a_host_that_the_c_library_would_take_for_an_address_is_refused(url: str) -> None:
    with pytest.raises(UnusableUrl):
        target_of("POST", url)


@pytest.mark.parametrize("method", ["", "P T", "POST\r\nX: y", "PÖST"])
def test_a_method_that_is_no_token_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="token"):
        target_of(method, "http://host/")


@pytest.mark.parametrize(
    "url", ["https://u:s3cret@exa\u2100mple.com/", "https://u:s3cret@host:abc/", "https://u:s3cret@[::1/"]
)
def test_a_url_that_cannot_be_read_is_not_quoted_with_its_credentials(url: str) -> None:
    with pytest.raises(ValueError, match="cannot be read") as raised:
        target_of("POST", url)
    assert "s3cret" not in str(raised.value)
