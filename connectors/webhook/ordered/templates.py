"""Request templates: requests that are filled in from an event, in the language of eventhos.

A variable such as ``${.body.customer.name}`` names a value by its path in the event's request: ``.body`` (the event),
``.headers`` (names in any case), ``.query``, and ``.oauthResponse.body`` or ``.oauthResponse.headers`` (the response
with the access token). A path goes on with ``.name``, ``["any name"]`` and ``[3]``.

In a text, a value that is no string stands as JSON, and a missing value is an empty text. A body member that is one
variable and nothing else keeps the value's type, and is left out when the value is missing. In a URL, values are
percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urldefrag, urlencode

import msgspec

from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from schemas.model.endpoint import Endpoint, RequestTemplate

_VARIABLE = re.compile(r"\$\{(\.[^{}]*)\}")
_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,9})\]|\["([^"]*)"\]|\['([^']*)'\]""")

_MISSING = object()
_DEEPEST = 100
"""Levels of a raw body that are filled in."""

MAX_FILLED = 4_000_000
"""Characters that all variables of a request may stand for together: a template can name a large event many times."""

MAX_STEPS = 20_000
"""Variables and JSON values that one request's template may have: each takes a worker a microsecond or two."""

_PATH_CHARACTERS = 8
"""Of a path that take as long as another variable."""

_MINUS_ZERO = re.compile(rb'"(?:[^"\\]|\\.)*+"?|-0(?![0-9.eE])', re.DOTALL)
_AS_FLOAT = b"-0e-0"
"""How ``-0`` is put to the decoder: of what it takes for an integer, this alone would lose something."""

# Numbers stay spelled as they came.
_DECODER = msgspec.json.Decoder(float_hook=lambda text: msgspec.Raw(_spelled(text.encode())))
_ENCODER = msgspec.json.Encoder()


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What variables can name; ``body`` is the event's JSON text."""

    body: bytes
    headers: Mapping[str, str] = {}
    query: Mapping[str, Any] = {}
    token_body: Mapping[str, Any] = {}
    token_headers: Mapping[str, str] = {}

    def values(self) -> Values:
        """By name, as paths see it."""
        return Values(
            body=_read(self.body),
            headers=_lowered(self.headers),
            query=dict(self.query),
            oauthResponse={"body": dict(self.token_body), "headers": _lowered(self.token_headers)},
        )


class Values(dict[str, Any]):
    """What variables can name, for one request.

    ``left`` is how many characters they may still stand for, ``steps`` how many variables and values of the template
    may still be filled in.
    """

    left = MAX_FILLED
    steps = MAX_STEPS

    def step(self, count: int = 1) -> None:
        """Count what is filled in.

        Raises:
            Misconfigured: the template is too large.
        """
        self.steps -= count
        if self.steps < 0:
            raise Misconfigured(f"the request's template has more than {MAX_STEPS} values and variables to fill in")

    def take(self, path: str) -> Any:
        """What a variable names.

        Raises:
            Misconfigured: the template is too large, or makes too much of the event.
        """
        self.step(1 + len(path) // _PATH_CHARACTERS)
        found = _find(path, self)
        self.left -= len(found) if isinstance(found, str) else len(_text(found))
        if self.left < 0:
            raise Misconfigured(f"the request's variables stand for more than {MAX_FILLED} characters")
        return found


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it is to be sent; ``query`` is part of the URL already, and ``base_url`` is the URL before it."""

    url: str
    base_url: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


def fill(endpoint: Endpoint, template: RequestTemplate, context: Context) -> Filled:
    """The request for one event.

    Raises:
        Misconfigured: the template makes too much of the event.
    """
    values = context.values()
    query = [(each.name, fill_text(each.value, values)) for each in template.query]
    headers = {name: fill_text(text, values) for name, text in endpoint.headers.items()}
    headers |= {each.name: fill_text(each.value, values) for each in template.headers}
    base_url = fill_url(endpoint.url or "", values)
    return Filled(
        url=_with_query(base_url, query),
        base_url=base_url,
        query=dict(query),
        headers=headers,
        body=_body(template, context, values),
    )


def fill_text(text: str, values: Values) -> str:
    """A text with its variables replaced."""
    return _VARIABLE.sub(lambda match: _text(values.take(match[1])), text)


def fill_url(text: str, values: Values) -> str:
    """A URL with its variables replaced; what an event says stays within the part that it is put into.

    Raises:
        Misconfigured: it does not, or the template makes too much of the event.
    """
    filled = _VARIABLE.sub(lambda match: quote(_text(values.take(match[1])), safe=""), text)
    path = filled.partition("?")[0].partition("#")[0]
    if filled != text and not {".", ".."}.isdisjoint(path.split("/")):
        # Clients resolve such a segment, however it is spelled, and call another path.
        raise Misconfigured("the event fills the URL's path in with a segment of dots")
    return filled


def fill_value(value: Any, values: Values, deepest: int = _DEEPEST) -> Any:
    """JSON with the variables in its strings replaced; members and elements without a value are left out."""
    values.step()
    if isinstance(value, str):
        whole = _VARIABLE.fullmatch(value)
        return fill_text(value, values) if whole is None else values.take(whole[1])
    if not deepest:
        return value
    if isinstance(value, dict):
        filled = {name: fill_value(member, values, deepest - 1) for name, member in value.items()}
        return {name: member for name, member in filled.items() if member is not _MISSING}
    if isinstance(value, list):
        elements = (fill_value(element, values, deepest - 1) for element in value)
        return [element for element in elements if element is not _MISSING]
    return value


def _body(template: RequestTemplate, context: Context, values: Values) -> bytes:
    if template.raw_body is not None:
        return _raw_body(template.raw_body, values)
    if template.body:
        return _ENCODER.encode(fill_value({each.name: each.value for each in template.body}, values))
    return context.body


def _raw_body(text: str, values: Values) -> bytes:
    try:
        parsed = _decoded(text.encode())
    except (msgspec.DecodeError, RecursionError):
        # Not JSON, or not before it is filled in.
        return fill_text(text, values).encode()
    filled = fill_value(parsed, values)
    return b"" if filled is _MISSING else _ENCODER.encode(filled)


def _with_query(url: str, query: list[tuple[str, str]]) -> str:
    if not query:
        return url
    base = urldefrag(url)[0]
    return f"{base}{'&' if '?' in base else '?'}{urlencode(query)}"


def _find(path: str, values: Mapping[str, Any]) -> Any:
    found: Any = values
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            return _MISSING
        found = _member(found, step)
        if found is _MISSING:
            return _MISSING
        at = step.end()
    return found


def _member(of: Any, step: re.Match[str]) -> Any:
    if isinstance(of, list):
        number = step[2] or step[1] or ""
        if not (number.isascii() and number.isdecimal()):
            return _MISSING
        return of[int(number)] if int(number) < len(of) else _MISSING
    name = next((group for group in step.groups() if group is not None), "")
    if not isinstance(of, dict):
        return _MISSING
    return of.get(name.lower() if isinstance(of, _Names) else name, _MISSING)


class _Names(dict[str, str]):
    """Headers by lower-case name."""


def _lowered(headers: Mapping[str, str]) -> _Names:
    return _Names((name.lower(), value) for name, value in headers.items())


def _text(value: Any) -> str:
    if value is _MISSING:
        return ""
    return value if isinstance(value, str) else _ENCODER.encode(value).decode()


def _read(body: bytes) -> Any:
    """The event was checked when it came; nested more deeply than can be read, it has no values to name."""
    try:
        return _decoded(body)
    except (msgspec.DecodeError, RecursionError):
        return _MISSING


def _decoded(text: bytes) -> Any:
    if b"-0" in text:
        text = _MINUS_ZERO.sub(lambda found: _AS_FLOAT if found[0] == b"-0" else found[0], text)
    return _DECODER.decode(text)


def _spelled(number: bytes) -> bytes:
    return b"-0" if number == _AS_FLOAT else number
