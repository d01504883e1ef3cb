"""Answers with the content of a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from fastapi.responses import StreamingResponse

_CHUNK = 1_048_576


def file_answer(file: BinaryIO, media_type: str) -> StreamingResponse:
    """An answer with a file's content, which is closed when all is sent."""
    headers = {"content-length": str(os.fstat(file.fileno()).st_size), "cache-control": "no-store"}
    return StreamingResponse(_content(file), media_type=media_type, headers=headers)


def _content(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk
