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

_MICROS_DIGITS = 6
_SECONDS_END = 19
"""Length of ``2021-03-04T16:36:54``."""

_LONGEST = 64
"""Characters of any spelling. What is longer is none, and not to be remembered."""

_FRACTION = re.compile(r"\.(\d{1,9})Z", re.ASCII)
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
    return parse_spelling(text)[0]


def parse_spelling(text: str) -> tuple[int, bool]:
    """What ``parse`` reads, and whether ``to_text`` prints it back just so.

    Raises:
        ValueError: as ``parse``.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"not an ISO 8601 instant with an offset: {text[:_LONGEST]!r}…")
    fraction = _fraction(text[_SECONDS_END:])
    if fraction is None:
        return _parse_any(text), False
    micros, prints_back = fraction
    return _seconds(text[:_SECONDS_END]) * 1_000_000 + micros, prints_back


def to_text(micros: int) -> str:
    """RFC 3339 in UTC: ``2021-03-04T16:36:54.591Z``, the fraction without trailing zeros, none at all when zero."""
    seconds, fraction = divmod(micros, 1_000_000)
    if fraction % 1_000:
        return f"{_seconds_text(seconds)}.{fraction:06d}".rstrip("0") + "Z"
    return _seconds_text(seconds) + _millis_text(fraction)


@functools.lru_cache(maxsize=4_096)
def _seconds(date_time: str) -> int:
    """Seconds since the epoch of ``2021-03-04T16:36:54``; events that come together share their seconds."""
    if _DATE_TIME.fullmatch(date_time) is None:
        raise ValueError(f"not an ISO 8601 instant with an offset: {date_time!r}")
    since = datetime.fromisoformat(f"{date_time}+00:00") - _EPOCH
    return since.days * 86_400 + since.seconds


@functools.lru_cache(maxsize=4_096)
def _fraction(rest: str) -> tuple[int, bool] | None:
    """Microseconds that ``.591Z`` or ``Z`` adds, and whether it is our own spelling; None for any other offset."""
    if rest == "Z":
        return 0, True
    found = _FRACTION.fullmatch(rest)
    if found is None:
        return None
    digits = found[1]
    micros = int(digits[:_MICROS_DIGITS].ljust(_MICROS_DIGITS, "0"))
    return micros, len(digits) <= _MICROS_DIGITS and digits[-1] != "0"


@functools.lru_cache(maxsize=4_096)
def _seconds_text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:_SECONDS_END]


@functools.lru_cache(maxsize=1_000)
def _millis_text(micros: int) -> str:
    return f".{micros:06d}".rstrip("0") + "Z" if micros else "Z"


def _parse_any(text: str) -> int:
    """Every spelling that ``parse`` takes, field by field."""
    found = _ANY.fullmatch(text)
    if found is None:
        raise ValueError(f"not an ISO 8601 instant with an offset: {text!r}")
    seconds = _seconds(f"{found['date']}T{found['minutes']}{found['seconds'] or ':00'}")
    if found["sign"]:
        offset = int(found["hours"]) * 3_600 + int(found["past"] or 0) * 60
        seconds += offset if found["sign"] == "-" else -offset
    micros = seconds * 1_000_000 + int((found["fraction"] or "0")[:_MICROS_DIGITS].ljust(_MICROS_DIGITS, "0"))
    if not EARLIEST <= micros <= LATEST:
        raise ValueError(f"outside the years 1 to 9999: {text!r}")
    return micros
