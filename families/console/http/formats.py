"""Values as people read them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import quote

NOTHING = "—"

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_SIZES = ("bytes", "KiB", "MiB", "GiB", "TiB")
_KILO = 1_024
_LINE = 120
_MOST_PRETTY = 20_000
"""Characters of a value that is laid out: a page has many, and everybody else waits meanwhile."""


def number(value: float | None) -> str:
    """``1234567`` as ``1,234,567``; a fraction with as many digits as say something."""
    if value is None:
        return NOTHING
    if isinstance(value, int) or value.is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.3g}"  # noqa: PLR2004


def size(value: float | None) -> str:
    """Bytes, in the largest unit that leaves a number of at least one."""
    if value is None:
        return NOTHING
    unit = 0
    while abs(value) >= _KILO and unit < len(_SIZES) - 1:
        value, unit = value / _KILO, unit + 1
    return f"{number(value if unit == 0 else round(value, 1))} {_SIZES[unit]}"


def percent(value: float | None) -> str:
    """A part of one."""
    if value is None:
        return NOTHING
    shown = f"{100 * value:.1f}".removesuffix(".0")
    return f"{shown} %"


def duration(seconds: float | None) -> str:
    """Seconds, in the one or two units that say most."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{1_000 * seconds:.0f} ms"
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s".replace(".0 ", " ")
    parts, rest = [], round(seconds)
    for name, length in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def moment(text: str | None) -> datetime | None:
    """The time that an API's text names; None if it is none."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def clock(text: str | None) -> str:
    """A time in UTC, to the second; a text that is none as it is."""
    found = moment(text)
    return (text or NOTHING) if found is None else f"{found.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def ago(text: str | None) -> str:
    """How long ago, or in how long."""
    found = moment(text)
    if found is None:
        return text or NOTHING
    seconds = (datetime.now(UTC) - found).total_seconds()
    if abs(seconds) < 1:
        return "now"
    told = duration(float(round(abs(seconds))))
    return f"{told} ago" if seconds > 0 else f"in {told}"


def short(text: str | None) -> str:
    """The end of an id, which differs where its beginning is a time."""
    if not text:
        return NOTHING
    return f"…{text[-12:]}" if len(text) > 20 else text  # noqa: PLR2004


def pretty(value: object) -> str:
    """A JSON value, or a text that holds one, over several lines; another text, and a long one, as it is."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) > _MOST_PRETTY:
        return text
    try:
        shown = json.loads(text)
    except ValueError:
        return text
    return json.dumps(shown, indent=2, ensure_ascii=False)


def line(value: object) -> str:
    """A JSON value in one line, at most ``_LINE`` characters of it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LINE else f"{text[:_LINE]}…"


def label(text: str) -> str:
    """``WEB_HOOK`` and ``in_flight`` as words."""
    return text.replace("_", " ").replace("-", " ").lower()


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


FILTERS = {
    "number": number,
    "size": size,
    "percent": percent,
    "duration": duration,
    "clock": clock,
    "ago": ago,
    "short": short,
    "pretty": pretty,
    "line": line,
    "label": label,
    "segment": segment,
}
"""The filters of templates."""
