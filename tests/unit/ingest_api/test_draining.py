"""How long a connection is read after its last answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ingest_api.draining import LEAST_BYTES, MOST_BYTES, MOST_LOOKS, Drain


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.unsent = 0
        self.done: list[str] = []

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write_eof(self) -> None:
        self.done.append("eof")

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")


class Timer:
    def cancel(self) -> None: ...


class Loop:
    def call_later(self, _delay: float, _callback: Any) -> Timer:
        return Timer()


@pytest.fixture
def transport() -> Transport:
    return Transport()


def drain_of(transport: Transport) -> Drain:
    return Drain(transport, Loop())  # type: ignore[arg-type]


def test_a_client_that_is_silent_is_closed(transport: Transport) -> None:
    drain = drain_of(transport)
    drain.look()
    assert transport.done == ["eof", "close"]


def test_a_client_that_sends_is_waited_for_but_not_for_ever(transport: Transport) -> None:
    drain = drain_of(transport)
    for _ in range(MOST_LOOKS):
        drain.drop(LEAST_BYTES)
        drain.look()
    assert transport.done == ["eof"]
    drain.drop(LEAST_BYTES)
    drain.look()
    assert transport.done == ["eof", "close"]


def test_a_client_that_sends_too_much_is_cut_off(transport: Transport) -> None:
    drain = drain_of(transport)
    drain.drop(MOST_BYTES)
    assert transport.done == ["eof"]
    drain.drop(1)
    assert transport.done == ["eof", "abort"]


def test_a_client_that_reads_slowly_is_waited_for(transport: Transport) -> None:
    transport.unsent = 3 * MOST_LOOKS
    drain = drain_of(transport)
    for _ in range(2 * MOST_LOOKS):
        transport.unsent -= 1
        drain.look()
    assert transport.done == ["eof"]
    drain.look()
    assert transport.done == ["eof", "abort"]
