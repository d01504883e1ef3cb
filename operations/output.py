"""Standard output that may go away while a supervisor runs."""

from __future__ import annotations

import os
from typing import IO, Any, cast


def lasting(stream: IO[str]) -> IO[str]:
    """The stream, which takes and loses everything once the other end is closed: a pipe's reader, a terminal.

    What is being supervised must then be stopped in order as ever, and not be killed because nobody reads of it.
    """
    return cast("IO[str]", _Lasting(stream))


class _Lasting:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._lose()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._lose()

    def _lose(self) -> None:
        """What is still in the stream's buffer goes nowhere either, so that it does not fail again at the very end."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
