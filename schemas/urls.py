"""What counts as a URL that something may be sent to."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_absolute(url: str | None) -> bool:
    """Whether it is an absolute http or https URL."""
    try:
        parts = urlsplit(url or "")
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
