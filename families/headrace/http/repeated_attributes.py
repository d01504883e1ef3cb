"""Finds attributes that a CloudEvent has twice in its JSON text: readers differ in which of the two they take.

What was read is written again, which is quick: only where the texts differ in more than their spaces is the event read
name by name.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from schemas.avro.attributes import member
from schemas.model.errors import InvalidEvent, MalformedBody, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENCODER = msgspec.json.Encoder()


def is_whole(text: bytes | msgspec.Raw, read: Any) -> bool:
    """Whether ``read`` says everything that the JSON text does; False where it takes a closer look.

    Raw values are written as they stand, and everything else in the shortest form. So a text of the same length has no
    spaces and nothing else besides. A name or a text that was passed over has quotes, and an escaped quote has none.
    """
    again = _ENCODER.encode(read)
    if len(again) == len(text):
        return True
    spelled = bytes(text)
    return again.count(b'"') == spelled.count(b'"') and b"\\u0022" not in spelled


def refuse_repeated(text: bytes | msgspec.Raw, members: dict[str, msgspec.Raw]) -> None:
    """Refuse an event that has an attribute, or its data, twice. What is inside of the data is not looked at.

    Args:
        text: the event's JSON.
        members: as they were read from it.

    Raises:
        InvalidEvent: it has one twice.
        MalformedBody: the data has too many levels.
    """
    if is_whole(text, members):
        return
    levels: list[Sequence[tuple[str, Any]]] = []
    try:
        # Numbers as they stand: Python makes none of thousands of digits.
        json.loads(bytes(text), object_pairs_hook=levels.append, parse_int=str, parse_float=str)
    except RecursionError as error:
        raise MalformedBody(f"The body is not JSON: {error}") from error
    # The event itself ends last.
    times = Counter(name for name, _ in levels[-1])
    twice = [Problem(path=member("$", name), message="is there twice") for name in times if times[name] > 1]
    if twice:
        raise InvalidEvent("The event is not valid.", twice)
