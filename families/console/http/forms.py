"""What a form sent: texts by the names of their fields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from schemas.model.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request

_MOST_FIELDS = 2_000
_MOST_BYTES = 1_000_000
_LARGEST = 1e15
"""Of a number: up to it whole numbers are exact."""

_MINUTES = len("2026-11-30T21:00")
_ZONE = re.compile(r"(Z|[+-][0-9]{2}:[0-9]{2})$")


class Form:
    """The fields of a form. A blank field counts as one that was not filled in."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        """The last value of a field, without the blanks around it; empty if it was not filled in."""
        return self._fields.get(name, [""])[-1].strip()

    def texts(self, name: str) -> list[str]:
        """All values of a field, such as the boxes that were ticked."""
        return [each for each in self._fields.get(name, []) if each]

    def value(self, name: str) -> str | None:
        """The text, or None."""
        return self.text(name) or None

    def number(self, name: str) -> float | str | None:
        """The number; a text that is none is passed on, so that the API says what is wrong with it."""
        text = self.text(name)
        try:
            number = float(text)
        except ValueError:
            return text or None
        if not abs(number) <= _LARGEST:
            # JSON has no infinity: it would be sent as null, which is no limit.
            return text
        return int(number) if number.is_integer() else number

    def time(self, name: str) -> str | None:
        """A time of a field for date and time, which has no zone: it is UTC."""
        text = self.text(name)
        return in_utc(text) or None

    def given(self, *names: str) -> dict[str, Any]:
        """Those of these fields that were filled in."""
        return {name: self.text(name) for name in names if self.text(name)}


def in_utc(text: str) -> str:
    """A time as RFC 3339: browsers send none of the zone, and seconds only where there are some."""
    if "T" not in text or _ZONE.search(text):
        return text
    return f"{text}:00Z" if len(text) == _MINUTES else f"{text}Z"


async def read_form(request: Request) -> Form:
    """Read the body of a request.

    Raises:
        UnsupportedMediaType: it is no form.
        PayloadTooLarge: it is too large.
        InvalidRequest: it has too many fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", "application/x-www-form-urlencoded"):
        raise UnsupportedMediaType("A form of the console is expected.")
    body = await request.body()
    if len(body) > _MOST_BYTES:
        raise PayloadTooLarge(f"A form has at most {_MOST_BYTES:,} bytes.")
    try:
        return Form(parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise InvalidRequest("The form has too many fields.") from error
