from __future__ import annotations

import pytest

from connectors.websocket import frames
from connectors.websocket.frames import BINARY, CLOSE, PING, PONG, TEXT, FrameReader, Message

LIMIT = 70_000
MASK = b"\x37\xfa\x21\x3d"


def frame(payload: bytes, first: int = 0x81, mask: bytes = MASK) -> bytes:
    length = len(payload)
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 65_536:
        head = bytes((first, 0xFE)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + length.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def closed(code: int) -> Message:
    return Message(CLOSE, code.to_bytes(2, "big"))


def test_the_example_of_the_rfc() -> None:
    # RFC 6455, 5.7.
    assert FrameReader(LIMIT).feed(bytes.fromhex("818537fa213d7f9f4d5158")) == [Message(TEXT, b"Hello")]


@pytest.mark.parametrize("length", [0, 1, 3, 4, 125, 126, 65_535, 65_536, LIMIT])
def test_payloads_of_every_form_of_length(length: int) -> None:
    payload = (b"0123456789" * (length // 10 + 1))[:length]

    assert FrameReader(LIMIT).feed(frame(payload) + frame(b"x", 0x82)) == [
        Message(TEXT, payload),
        Message(BINARY, b"x"),
    ]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1_000])
def test_frames_may_come_in_any_parts(step: int) -> None:
    sent = (
        frame(b"a" * 300)
        + frame(b"", 0x8A)
        + frame(b"", 0x01)
        + frame(b"be", 0x00)
        + frame(b"p", 0x89)
        + frame(b"gun", 0x80)
    )
    reader = FrameReader(LIMIT)

    found = [message for at in range(0, len(sent), step) for message in reader.feed(sent[at : at + step])]

    expected = [Message(TEXT, b"a" * 300), Message(PONG, b""), Message(PING, b"p"), Message(TEXT, b"begun")]
    assert found == expected


def test_a_control_frame_between_parts_does_not_count_towards_the_limit() -> None:
    reader = FrameReader(10)

    assert reader.feed(frame(b"12345678", 0x01) + frame(b"12345", 0x89)) == [Message(PING, b"12345")]
    assert reader.feed(frame(b"90", 0x80)) == [Message(TEXT, b"1234567890")]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x05Hello", frames.PROTOCOL_ERROR),
        (frame(b"x", 0xC1), frames.PROTOCOL_ERROR),
        (frame(b"x", 0x91), frames.PROTOCOL_ERROR),
        (frame(b"x", 0x83), frames.PROTOCOL_ERROR),
        (frame(b"x", 0x8B), frames.PROTOCOL_ERROR),
        (frame(b"x", 0x80), frames.PROTOCOL_ERROR),
        (frame(b"x", 0x01) + frame(b"x", 0x81), frames.PROTOCOL_ERROR),
        (frame(b"x", 0x09), frames.PROTOCOL_ERROR),
        (frame(b"x" * 126, 0x89), frames.PROTOCOL_ERROR),
        (frame(b"x", 0x88), frames.PROTOCOL_ERROR),
        (frame((999).to_bytes(2, "big"), 0x88), frames.PROTOCOL_ERROR),
        (frame((1005).to_bytes(2, "big"), 0x88), frames.PROTOCOL_ERROR),
        (frame((5000).to_bytes(2, "big"), 0x88), frames.PROTOCOL_ERROR),
        (frame((1000).to_bytes(2, "big") + b"\xff", 0x88), frames.INVALID_DATA),
        # Only the heads: nothing has to be stored before it is refused.
        (b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff", frames.TOO_BIG),
        (frame(b"x" * LIMIT, 0x01) + b"\x80\x81", frames.TOO_BIG),
    ],
)
def test_a_violation_ends_what_a_client_says(sent: bytes, code: int) -> None:
    reader = FrameReader(LIMIT)

    assert reader.feed(frame(b"before") + sent + frame(b"after")) == [Message(TEXT, b"before"), closed(code)]
    assert reader.feed(frame(b"later")) == []


@pytest.mark.parametrize("payload", [b"", (1000).to_bytes(2, "big"), (4999).to_bytes(2, "big") + "ü".encode()])
def test_a_close_is_answered_with_its_code(payload: bytes) -> None:
    reader = FrameReader(LIMIT)

    assert reader.feed(frame(payload, 0x88) + frame(b"after")) == [Message(CLOSE, payload[:2])]
    assert reader.feed(frame(b"later")) == []


def test_what_a_server_sends() -> None:
    assert frames.close_frame((1000).to_bytes(2, "big") + b"bye") == b"\x88\x05\x03\xe8bye"
    assert frames.pong_frame(b"p") == b"\x8a\x01p"
