"""Instants as the project keeps them: whole microseconds since the epoch, UTC."""

from __future__ import annotations

import functools
import re
import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = -62_135_596_800_000_000
LATEST = 253_402_300_799_999_999
"""The years 1 to 9999: what a timestamp's text can say."""

_FRACTION_DIGITS = 9
_SECONDS_END = 19
"""Length of ``2021-03-04T16:36:54``."""
_SCALE = (0, 100_000, 10_000, 1_000, 100, 10, 1)
"""Microseconds in the last place of a fraction of that many digits."""

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
_ANY = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[Tt ](?P<minutes>\d\d:\d\d)"
    r"(?:(?P<seconds>:\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<hours>[01]\d|2[0-3])(?::?(?P<past>[0-5]\d))?)",
    re.ASCII,
)


def now() -> int:
    """The present instant."""
    return time.time_ns() // 1_000


def parse(text: str) -> int:
    """Read an ISO 8601 instant with an offset (``Z`` or ``±hh:mm``) and at most nine fraction digits.

    What is finer than a microsecond is cut off.

    Raises:
        ValueError: it is something else, has no offset, or lies outside the years 1 to 9999.
    """
    rest = text[_SECONDS_END:]
    if rest == "Z":
        return _seconds(text[:_SECONDS_END]) * 1_000_000
    digits = rest[1:-1]
    if rest[:1] == "." and rest[-1:] == "Z" and digits.isdecimal() and digits.isascii():
        size = len(digits)
        if size < len(_SCALE):
            return _seconds(text[:_SECONDS_END]) * 1_000_000 + int(digits) * _SCALE[size]
        if size <= _FRACTION_DIGITS:
            return _seconds(text[:_SECONDS_END]) * 1_000_000 + int(digits[:6])
    return _parse_any(text)


def to_text(micros: int) -> str:
    """RFC 3339 in UTC: ``2021-03-04T16:36:54.591Z``, the fraction without trailing zeros, none at all when zero."""
    seconds, fraction = divmod(micros, 1_000_000)
    if not fraction:
        return f"{_seconds_text(seconds)}Z"
    return f"{_seconds_text(seconds)}.{fraction:06d}".rstrip("0") + "Z"


def prints_back(text: str) -> bool:
    """Whether ``to_text(parse(text)) == text``, told from the spelling alone; ``text`` must be one that parses."""
    if text[-1] != "Z" or text[10] != "T":
        return False
    size = len(text)
    return size == _SECONDS_END + 1 or (size <= _SECONDS_END + 8 and text[_SECONDS_END] == "." and text[-2] != "0")


@functools.lru_cache(maxsize=4_096)
def _seconds(date_time: str) -> int:
    """Seconds since the epoch of ``2021-03-04T16:36:54``; events that come together share their seconds."""
    if _DATE_TIME.fullmatch(date_time) is None:
        raise ValueError(f"not an ISO 8601 instant with an offset: {date_time!r}")
    since = datetime.fromisoformat(f"{date_time}+00:00") - _EPOCH
    return since.days * 86_400 + since.seconds


@functools.lru_cache(maxsize=4_096)
def _seconds_text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:_SECONDS_END]


def _parse_any(text: str) -> int:
    """Every spelling that ``parse`` takes, field by field."""
    found = _ANY.fullmatch(text)
    if found is None:
        raise ValueError(f"not an ISO 8601 instant with an offset: {text!r}")
    seconds = _seconds(f"{found['date']}T{found['minutes']}{found['seconds'] or ':00'}")
    if found["sign"]:
        offset = int(found["hours"]) * 3_600 + int(found["past"] or 0) * 60
        seconds += offset if found["sign"] == "-" else -offset
    micros = seconds * 1_000_000 + int((found["fraction"] or "0")[:6].ljust(6, "0"))
    if not EARLIEST <= micros <= LATEST:
        raise ValueError(f"outside the years 1 to 9999: {text!r}")
    return micros
