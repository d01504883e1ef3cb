from __future__ import annotations

import os

from rich.console import Console

from operations.output import lasting


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        console = Console(file=lasting(stream))
        console.print("heard")
        assert os.read(reading, 100) == b"heard\n"
        os.close(reading)
        # More than fits into the stream's buffer, and what is left in it when it is closed.
        for _ in range(3):
            console.print("x" * 100_000, highlight=False, soft_wrap=True)


def test_a_terminal_that_is_shut_is_no_error() -> None:
    master, terminal = os.openpty()
    with os.fdopen(terminal, "w", encoding="utf-8") as stream:
        console = Console(file=lasting(stream))
        assert console.is_terminal
        os.close(master)
        console.print("nobody")
