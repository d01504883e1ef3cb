from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.websocket import protocol


def test_a_frame_holds_a_command_a_line() -> None:
    found = protocol.commands('{"connect":{"token":"t"},"id":1}\n{"id":2,"subscribe":{"channel":"a","flag":1}}\n')

    assert [(command.id, protocol.method_of(command)) for command in found] == [(1, "connect"), (2, "subscribe")]


def test_a_pong_is_no_method() -> None:
    (pong,) = protocol.commands("{}")
    assert (pong.id, protocol.method_of(pong)) == (0, None)


@pytest.mark.parametrize(
    ("line", "same_as"),
    [
        ('{"id":1,"connect":{"token":"t","name":null}}', '{"id":1,"connect":{"token":"t"}}'),
        ('{"id":1,"connect":{"token":"t","subs":null}}', '{"id":1,"connect":{"token":"t"}}'),
        (
            '{"id":1,"connect":{"token":null,"subs":{"c":{"recover":true,"offset":null,"epoch":null,"tf":null}}}}',
            '{"id":1,"connect":{"subs":{"c":{"recover":true}}}}',
        ),
        ('{"id":1,"connect":{"subs":{"c":null}}}', '{"id":1,"connect":{}}'),
        ('{"id":null,"connect":null,"ping":null}', "{}"),
        (
            (
                '{"id":2,"subscribe":{"channel":"c","token":null,"recover":null,"offset":null,"epoch":null,"flag":null,'
                '"data":null,"positioned":null,"recoverable":null,"join_leave":null,"delta":null,"tf":null,"type":null}}'
            ),
            '{"id":2,"subscribe":{"channel":"c"}}',
        ),
        (
            '{"id":3,"history":{"channel":"c","since":null,"limit":null,"reverse":null}}',
            '{"id":3,"history":{"channel":"c"}}',
        ),
        (
            '{"id":3,"history":{"channel":"c","since":{"offset":1,"epoch":null}}}',
            '{"id":3,"history":{"channel":"c","since":{"offset":1}}}',
        ),
        ('{"id":4,"sub_refresh":{"channel":null,"token":"t","type":null}}', '{"id":4,"sub_refresh":{"token":"t"}}'),
        ('{"id":5,"unsubscribe":{"channel":null}}', '{"id":5,"unsubscribe":{}}'),
    ],
)
def test_null_is_unset(line: str, same_as: str) -> None:
    assert protocol.commands(line) == protocol.commands(same_as)


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ({"tf": {"op": "eq", "key": "k", "val": "v"}}, 107),
        ({"tf": {}}, 107),
        ({"type": 1}, 108),
        ({"type": 3}, 108),
        ({"type": -1}, 108),
        ({"join_leave": True}, 108),
        ({"phase": 1}, 107),
        ({"cursor": "c"}, 107),
        ({"limit": 5}, 107),
        ({"asc": True}, 107),
    ],
)
def test_what_is_not_supported_is_refused(member: dict[str, Any], code: int) -> None:
    (command,) = protocol.commands(json.dumps({"id": 1, "subscribe": {"channel": "c"} | member}))

    assert command.subscribe is not None
    with pytest.raises(protocol.ReplyError) as refused:
        command.subscribe.check()
    assert refused.value.code == code


def test_a_delta_is_negotiated_if_it_is_known() -> None:
    protocol.SubscribeRequest(channel="c", delta="fossil", flag=1).check()
    with pytest.raises(protocol.Disconnected) as closed:
        protocol.SubscribeRequest(channel="c", delta="other").check()
    assert closed.value.close.code == 3501


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "{",
        '{"id":-1',
        '{"id":-1}',
        '{"subscribe":{"offset":-1}}',
        "null",
        "7",
        '{"id":"1"}',
        '{"subscribe":7}',
        "{}\n\n{}",
        "[" * 5_000,
    ],
)
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
