"""Times as people say them to a command: RFC 3339, or how long ago."""

from __future__ import annotations

import re

from operations.errors import WrongUsage
from schemas.model import timestamps

HELP = "RFC 3339, or how long ago: 90s, 15m, 2h, 3d."

_AGO = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_MICROS = 1_000_000


def when(text: str, option: str) -> str:
    """The time in RFC 3339.

    Args:
        text: as it was given.
        option: that it was given with.

    Raises:
        WrongUsage: it is no time.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        return timestamps.to_text(timestamps.now() - int(ago[1]) * _SECONDS[ago[2]] * _MICROS)
    try:
        timestamps.parse(text)
    except ValueError as error:
        raise WrongUsage(f"{option} {text!r} is no time. Give {HELP}") from error
    return text


def seconds(text: str, option: str) -> int:
    """A span such as ``12h``, in seconds.

    Raises:
        WrongUsage: it is none.
    """
    span = _AGO.fullmatch(text)
    if span is None:
        raise WrongUsage(f"{option} {text!r} is no span. Give 90s, 15m, 2h or 3d.")
    return int(span[1]) * _SECONDS[span[2]]


def query(**given: str | None) -> dict[str, str]:
    """The parameters of a call that were given; ``since`` and ``until`` as the API reads them."""
    return {
        name: when(value, f"--{name}") if name in {"since", "until"} else value
        for name, value in given.items()
        if value is not None
    }
