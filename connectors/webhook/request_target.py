"""From the URL of a request to the server that it goes to and the lines that begin it. URLs are parsed once."""

from __future__ import annotations

import base64
import functools
import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from yarl import URL

_REMEMBERED = 4_096

_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SENDABLE = "%/?:@!$&'()*+,;="
"""Characters that are not encoded in a path or query, besides letters, digits and ``-._~`` (RFC 3986 section 3.4)."""

_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A token (RFC 9110 section 5.6.2)."""

_LAST_IS_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")
_CANONICAL = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")


class UnusableUrl(ValueError):
    """Nothing can be sent to this URL. The text does not quote it: it may hold credentials."""


class Origin(NamedTuple):
    """The server of a URL: requests to the same origin share connections. ``host`` is ASCII, without brackets."""

    host: str
    port: int
    is_tls: bool


class Target(NamedTuple):
    """Where a request goes.

    Attributes:
        origin: the server.
        start: the request line and ``Host``, each with its line end.
        authorization: the line for the credentials of the URL; empty without any.
        is_head: whether the response has no body, whatever its head says.
    """

    origin: Origin
    start: str
    authorization: str
    is_head: bool


@functools.lru_cache(_REMEMBERED)
def target_of(method: str, url: str) -> Target:
    """Parse the URL of a request.

    Raises:
        UnusableUrl: the URL names no server that can be asked over HTTP.
        ValueError: it is no URL, or the method is no token.
    """
    if not _METHOD.fullmatch(method):
        raise ValueError("the method is no token")
    written = as_written(url)
    host, port = written.raw_host, written.port
    if not host or port is None:
        raise UnusableUrl("it names no host")
    if ":" not in host and _LAST_IS_NUMBER.fullmatch(host) and not _CANONICAL.fullmatch(host):
        # The C library would read 2130706433 or 127.1 as an address.
        raise UnusableUrl("is not a canonical IPv4 address")
    if " " in host or not host.isprintable():
        raise ValueError("the host has characters that no name has")
    start = f"{method.upper()} {written.raw_path_qs} HTTP/1.1\r\nHost: {written.host_port_subcomponent}\r\n"
    return Target(
        Origin(host, port, written.scheme == "https"), start, _authorization(written), method.upper() == "HEAD"
    )


def _authorization(url: URL) -> str:
    user, password = url.raw_user, url.raw_password
    if user is None and password is None:
        return ""
    text = f"{unquote(user or '')}:{unquote(password or '')}"
    try:
        encoded = text.encode("latin-1")
    except UnicodeEncodeError:
        encoded = text.encode()
    return f"Authorization: Basic {base64.b64encode(encoded).decode()}\r\n"


def as_written(url: str) -> URL:
    """Parse a URL and keep its percent-encodings as they are.

    yarl would decode those that it takes to be needless. But some servers divide at ``;`` and not at ``%3B``, and a
    value that an event fills in must not divide anything.

    Raises:
        UnusableUrl: the scheme is neither http nor https.
        ValueError: it is no URL.
    """
    try:
        whole, parts = URL(url), urlsplit(url)
    except ValueError:  # some of them quote the host, with the credentials before it
        raise ValueError("the URL cannot be read") from None
    if whole.scheme not in {"http", "https"}:
        raise UnusableUrl("it is neither http nor https")
    return URL.build(
        scheme=whole.scheme,
        authority=whole.raw_authority,
        path=_sendable(parts.path) or "/",
        query_string=_sendable(parts.query),
        encoded=True,
    )


def _sendable(text: str) -> str:
    return quote(_LONE_PERCENT.sub("%25", text), safe=_SENDABLE)
