"""Instants as the project keeps them: whole microseconds since the epoch, UTC."""

from __future__ import annotations

import calendar
import functools
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = -62_135_596_800_000_000
LATEST = 253_402_300_799_999_999
"""The years 1 to 9999: what a timestamp's text can say."""

Micros = Annotated[int, msgspec.Meta(ge=EARLIEST, le=LATEST)]
"""An instant in microseconds since the epoch; what a record says is checked, so that it can always be printed."""

Millis = Annotated[int, msgspec.Meta(ge=EARLIEST // 1_000, le=LATEST // 1_000)]
"""In milliseconds."""

_MICROS_DIGITS = 6
_SECONDS_END = 19
"""Length of ``2021-03-04T16:36:54``."""

_KEPT = 32
"""Characters of the texts that the fast path reads: the parts of longer ones are not cached."""

_SHOWN = 64
"""Characters of a text that an error shows."""

_FRACTION = re.compile(r"\.(\d+)Z", re.ASCII)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
_ANY = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[Tt ](?P<minutes>\d\d:\d\d)"
    r"(?:(?P<seconds>:\d\d)(?:[.,](?P<fraction>\d+))?)?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<hours>[01]\d|2[0-3])(?::?(?P<past>[0-5]\d))?)",
    re.ASCII,
)
_LEAP_SECOND = ":60"
_SECONDS_A_DAY = 86_400


def now() -> int:
    """The present instant."""
    return time.time_ns() // 1_000


def parse(text: str) -> int:
    """Read an instant as RFC 3339 (section 5.6) writes it, ``T`` and ``Z`` in either case.

    Four more spellings that clients send are read: a space for ``T``, an offset without a colon, a decimal comma, no
    seconds. What is finer than a microsecond is cut off. A leap second (``23:59:60`` UTC at the end of a month) is the
    last microsecond of its day, so that it stays on its day and before the next second.

    Raises:
        ValueError: it is something else, has no offset, or lies outside the years 1 to 9999.
    """
    return parse_spelling(text)[0]


def parse_spelling(text: str) -> tuple[int, bool]:
    """Return what ``parse`` reads, and whether ``to_text`` prints it back just so.

    Raises:
        ValueError: as ``parse``.
    """
    if len(text) <= _KEPT:
        fraction = _fraction(text[_SECONDS_END:])
        seconds = None if fraction is None else _seconds(text[:_SECONDS_END])
        if fraction is not None and seconds is not None:
            return seconds * 1_000_000 + fraction[0], fraction[1]
    return _parse_any(text), False


def is_leap_second(text: str) -> bool:
    """Return whether a text that ``parse`` has read is a leap second."""
    return text[_SECONDS_END - 3 : _SECONDS_END] == _LEAP_SECOND


def to_text(micros: int) -> str:
    """RFC 3339 in UTC: ``2021-03-04T16:36:54.591Z``, the fraction without trailing zeros, none at all when zero."""
    seconds, fraction = divmod(micros, 1_000_000)
    if fraction % 1_000:
        return f"{_seconds_text(seconds)}.{fraction:06d}".rstrip("0") + "Z"
    return _seconds_text(seconds) + _millis_text(fraction)


@functools.lru_cache(maxsize=4_096)
def _seconds(date_time: str) -> int | None:
    """Seconds since the epoch of ``2021-03-04T16:36:54``, None for any other text; events of a batch share seconds."""
    if _DATE_TIME.fullmatch(date_time) is None:
        return None
    try:
        since = datetime.fromisoformat(f"{date_time}+00:00") - _EPOCH
    except ValueError:
        return None
    return since.days * _SECONDS_A_DAY + since.seconds


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
    """Read every spelling that ``parse`` takes, field by field."""
    found = _ANY.fullmatch(text)
    if found is None:
        raise _refusal(text)
    is_leap = found["seconds"] == _LEAP_SECOND
    seconds = _seconds(f"{found['date']}T{found['minutes']}{':59' if is_leap else found['seconds'] or ':00'}")
    if seconds is None:
        raise _refusal(text)
    if found["sign"]:
        offset = int(found["hours"]) * 3_600 + int(found["past"] or 0) * 60
        seconds += offset if found["sign"] == "-" else -offset
    fraction = (found["fraction"] or "0")[:_MICROS_DIGITS].ljust(_MICROS_DIGITS, "0")
    micros = seconds * 1_000_000 + (999_999 if is_leap else int(fraction))
    if not EARLIEST <= micros <= LATEST:
        raise ValueError(f"outside the years 1 to 9999: {text[:_SHOWN]!r}")
    if is_leap and not _ends_month(seconds):
        raise ValueError(f"no leap second (they are at 23:59:60 UTC at the end of a month): {text[:_SHOWN]!r}")
    return micros


def _ends_month(seconds: int) -> bool:
    """Whether it is the last second of a month, where leap seconds are (RFC 3339, section 5.7)."""
    moment = _EPOCH + timedelta(seconds=seconds)
    is_last_day = moment.day == calendar.monthrange(moment.year, moment.month)[1]
    return is_last_day and seconds % _SECONDS_A_DAY == _SECONDS_A_DAY - 1


def _refusal(text: str) -> ValueError:
    return ValueError(f"not an ISO 8601 instant with an offset: {text[:_SHOWN]!r}{'…' * (len(text) > _SHOWN)}")
