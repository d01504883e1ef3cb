"""Cursors: opaque texts that name a place in one list, which another list refuses, as it does a part of one."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import TypeVar

import msgspec

from schemas.model.errors import InvalidRequest, Problem

Place = TypeVar("Place")

_CHECK_BYTES = 4


def write_cursor(listed: str, place: tuple[int | str, ...]) -> str:
    """Return the cursor of a place.

    Args:
        listed: the name of the list, such as ``deliveries``.
        place: what the list is ordered by, of the last item of a page.
    """
    text = msgspec.json.encode(place)
    return base64.urlsafe_b64encode(_check(listed, text) + text).rstrip(b"=").decode()


def read_cursor(listed: str, cursor: str, form: type[Place]) -> Place:
    """Return the place that a cursor names.

    Args:
        listed: as it was written.
        cursor: a text of the caller's.
        form: the type of the place.

    Raises:
        InvalidRequest: no page of that list ended with it.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        decoded = base64.b64decode(padded, altchars=b"-_", validate=True)
        check, text = decoded[:_CHECK_BYTES], decoded[_CHECK_BYTES:]
        if check == _check(listed, text):
            return msgspec.json.decode(text, type=form)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        pass
    raise InvalidRequest("The cursor is not valid.", [Problem(path="cursor", message="is not a cursor of this list")])


def _check(listed: str, text: bytes) -> bytes:
    return zlib.crc32(text, zlib.crc32(listed.encode())).to_bytes(_CHECK_BYTES, "big")
