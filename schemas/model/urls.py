"""What counts as a URL that something may be sent to."""

from __future__ import annotations

from urllib.parse import urlsplit

_AMBIGUOUS = frozenset(" \\")
"""Some readers of URLs end the host there, others do not."""


def is_absolute(url: str | None) -> bool:
    """Whether it is an absolute http or https URL, in upper or lower case (RFC 3986 section 3.1).

    One with a control character, or with a space or a backslash in its host, is none.
    """
    if url is None or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not set(parts.netloc) & _AMBIGUOUS


def server_of(url: str) -> str:
    """Scheme, host and port of an absolute URL, as they are written: who gets what is sent to it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"
