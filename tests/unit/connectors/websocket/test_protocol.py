from __future__ import annotations

import json

import pytest

from connectors.websocket import protocol


def test_a_frame_holds_a_command_a_line() -> None:
    found = protocol.commands('{"connect":{"token":"t"},"id":1}\n{"id":2,"subscribe":{"channel":"a","flag":1}}\n')

    assert [(command.id, protocol.method_of(command)) for command in found] == [(1, "connect"), (2, "subscribe")]


def test_a_pong_is_no_method() -> None:
    (pong,) = protocol.commands("{}")
    assert (pong.id, protocol.method_of(pong)) == (0, None)


@pytest.mark.parametrize("text", ["", "\n", "{", '{"id":-1', '{"id":"1"}', '{"subscribe":7}', "{}\n\n{}", "[" * 5_000])
def test_what_cannot_be_read_ends_the_connection(text: str) -> None:
    with pytest.raises(protocol.Disconnected) as caught:
        protocol.commands(text)
    assert caught.value.close.code == 3501


def test_results_leave_out_what_is_zero_but_are_always_there() -> None:
    assert protocol.reply(4, "unsubscribe", {}) == b'{"id":4,"unsubscribe":{}}'
    assert protocol.reply(4, "subscribe", protocol.SubscribeResult(recoverable=True, epoch="e")) == (
        b'{"id":4,"subscribe":{"recoverable":true,"epoch":"e"}}'
    )


def test_errors_say_whether_to_try_again() -> None:
    assert json.loads(protocol.error_reply(3, protocol.internal())) == {
        "id": 3,
        "error": {"code": 100, "message": "internal server error", "temporary": True},
    }
    assert "temporary" not in json.loads(protocol.error_reply(3, protocol.permission_denied()))["error"]


def test_json_with_line_breaks_becomes_a_line() -> None:
    assert protocol.one_line(b'{\r\n"a": "\\n"}') == b'{  "a": "\\n"}'


@pytest.mark.parametrize(
    ("length", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_text_frames(length: int, head: bytes) -> None:
    assert protocol.text_frame(b"x" * length) == head + b"x" * length
