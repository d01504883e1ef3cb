"""Which named values are credentials: by their names, or by how they look. ``docs/security.md`` has the rules.

Nobody can list the names that makers of APIs give to credentials. So a value under any name is taken for one when it
looks like one, unless the name is known to stand for something else. Rather one too many is hidden.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter

_ENDS = re.compile(
    r"""(
        authorization | cookie | passw(or)?d | passphrase | secret
        | (?<!continuation)(?<!cursor)(?<!next)(?<!page)
          (?<!continuation[-_])(?<!cursor[-_])(?<!next[-_])(?<!page[-_])token
        | (access|api|auth|client|functions|master|private|secret|subscription)[-_]?key
        | sess(ion)?[-_]?id
    )\Z""",
    re.IGNORECASE | re.VERBOSE,
)
"""How names end that hold credentials, whatever their makers put before it (``X-Vault-Token``,
``Ocp-Apim-Subscription-Key``); with a ``page_token`` one goes on reading a list."""

_WORDS = frozenset(
    [
        "jwt",
        "pin",
        "otp",
        "totp",
        "sig",
        "signature",
        "hmac",
        "pwd",
        "pass",
        "passcode",
        "passkey",
        "bearer",
        "credential",
        "credentials",
        "saml",
        "sas",
        "cvv",
        "cvc",
    ]
)
"""Words of a name that say so wherever they stand: ``x-jwt``, ``card-pin``, ``X-Hub-Signature-256``."""

_LAST_WORDS = frozenset({"auth", "session", "sid", "assertion"})

_CLEAR = frozenset(
    [
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "age",
        "cache-control",
        "cf-ray",
        "connection",
        "content-digest",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "cursor",
        "date",
        "digest",
        "etag",
        "event-identifier",
        "expect",
        "expires",
        "forwarded",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "last-modified",
        "location",
        "max-forwards",
        "origin",
        "pragma",
        "range",
        "referer",
        "retry-after",
        "sec-ch-ua",
        "sec-ch-ua-mobile",
        "sec-ch-ua-platform",
        "sec-fetch-dest",
        "sec-fetch-mode",
        "sec-fetch-site",
        "sec-fetch-user",
        "server",
        "te",
        "trace-id",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "vary",
        "via",
        "warning",
        "x-amzn-trace-id",
        "x-cloud-trace-context",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-forwarded-server",
        "x-real-ip",
    ]
)
"""Names whose values are kept unless they are certain to be credentials."""

_CLEAR_LAST_WORDS = frozenset(
    [
        "id",
        "ids",
        "uuid",
        "guid",
        "identifier",
        "hash",
        "checksum",
        "cursor",
        "next",
        "previous",
        "version",
        "date",
        "time",
        "timestamp",
    ]
)
_CLEAR_ENDS = re.compile(
    r"((page|next|cursor|continuation)[-_]?token|(idempotency|partition)[-_]?key)\Z", re.IGNORECASE
)

_CERTAIN = re.compile(
    r"""
    \A\s* (bearer|digest|negotiate|ntlm|hawk|apikey|aws4-hmac-sha256) \s+ \S
    | \A\s* (basic|token) \s+ [\w+/=.~-]{8,} \s*\Z
    | \b (hrk_|hra_|whsec_|gh[oprsu]_|github_pat_|glpat-|xox[abeoprs]-|[rps]k_(live|test)_|AKIA|ASIA|AIza|sk-) [\w-]{8,}
    | -----BEGIN
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Values that are credentials under any name: with a scheme of HTTP, and keys that their makers mark."""

_BEFORE_TWO_DOTS = re.compile(r"(?<![\w-]) [\w-]{8,}+ (?= \. [\w-]++ \.)", re.VERBOSE)
_HEAD_OF_TOKEN = re.compile(r"\b eyJ [\w-]{5}", re.IGNORECASE | re.VERBOSE)
"""A JSON Web Token, in two steps: in one, each ``eyJ`` of a long text would be read to the end."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""Names things more often than it opens them: templates of contracts may want it."""

_RUN = re.compile(r"[A-Za-z0-9+_~-]{20,}")
"""What a random text consists of, and how long it is at least."""

_PARTS = re.compile(r"[-_+~]")
_MIXED = re.compile(r"[A-Za-z]+|[0-9]+")
_LEAST_ENTROPY = 3.0
"""Bits a character, over the characters of one text (Shannon). 20 random hexadecimal digits have 3.4 on average."""

_LONGEST_END = 64
"""Characters of a name that are looked at."""

_SHORTEST_VALUE, _LONGEST_VALUE = 8, 8_192
"""Characters: a shorter value is judged by its name alone, of a longer one no more is looked at."""

_NAMES_REMEMBERED = 4_096
"""Most requests have the same names."""

_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def is_credential(name: str) -> bool:
    """Whether a header or query parameter of this name holds a credential, whatever its value is."""
    return _says_secret(name[-_LONGEST_END:])


def looks_secret(name: str, value: str) -> bool:
    """Whether a value looks like a credential, under a name that does not say that it is something else."""
    if len(value) < _SHORTEST_VALUE:
        return False
    text = value[:_LONGEST_VALUE]
    if _CERTAIN.search(text) is not None or any(map(_HEAD_OF_TOKEN.search, _BEFORE_TWO_DOTS.findall(text))):
        return True
    if _RUN.search(text) is None or _is_clear(name[-_LONGEST_END:]):
        return False
    return any(_is_random(run) for run in _RUN.findall(_UUID.sub("", text)))


def hides(name: str, value: str) -> bool:
    """Whether a named value is taken for a credential."""
    return is_credential(name) or looks_secret(name, value)


@functools.lru_cache(_NAMES_REMEMBERED)
def _says_secret(end: str) -> bool:
    if _ENDS.search(end) is not None:
        return True
    words = _words(end)
    return not _WORDS.isdisjoint(words) or (bool(words) and words[-1] in _LAST_WORDS)


@functools.lru_cache(_NAMES_REMEMBERED)
def _is_clear(end: str) -> bool:
    if end.lower() in _CLEAR or _CLEAR_ENDS.search(end) is not None:
        return True
    words = _words(end)
    return bool(words) and words[-1] in _CLEAR_LAST_WORDS


def _is_random(run: str) -> bool:
    """Words and numbers with hyphens between them are none; letters and digits mixed are, where few repeat."""
    if all(_MIXED.fullmatch(part) or not part for part in _PARTS.split(run)):
        return False
    counts = Counter(run)
    return -sum(n / len(run) * math.log2(n / len(run)) for n in counts.values()) >= _LEAST_ENTROPY


def _words(name: str) -> list[str]:
    return [word.lower() for word in _SPLIT.split(name) if word]


_USER = re.compile(r"(^https?://)[^/?#]*@", re.IGNORECASE)


def has_user(url: str) -> bool:
    """Whether a URL has credentials of its own, before the host."""
    return _USER.match(url) is not None


def with_user_hidden(url: str) -> str:
    """A URL with ``hidden`` in the place of its credentials, if it has some: still a URL."""
    return _USER.sub(r"\1hidden@", url)
