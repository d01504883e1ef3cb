"""Removes secrets from the account of a call: those in its request, and those that a token URL issued."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import msgspec

from schemas.model.contract_call import HIDDEN
from schemas.model.secrecy import hides

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_HANDED_OUT = ("access_token", "refresh_token", "id_token")
"""Members of a token URL's response."""

_SHORTEST, _LONGEST = 6, 8_192
"""Length, in characters, of a credential that is searched for; a shorter one would match ordinary words."""


_LOOKED_FOR = 64
"""Characters of a credential that are compared; what follows them goes with them, up to a delimiter. Each of thousands
would be compared with each of an answer, for a quarter of a second, while all other deliveries wait."""

_REST = r"[^\s\"'<>&]*+"


class Redaction:
    """Replaces secrets in texts, however a template or a response spells them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._found = _pattern(tuple(sorted(set(secrets), key=lambda text: (-len(text), text))))

    def __call__(self, text: str) -> str:
        """Return the text with the secrets replaced."""
        return text if self._found is None else self._found.sub(HIDDEN, text)

    def named(self, named: Mapping[str, str]) -> dict[str, str]:
        """Return headers or query parameters with the secrets replaced."""
        return {name: self(text) for name, text in named.items()}


def handed_out(members: Mapping[str, Any]) -> list[str]:
    """The secrets in a token URL's response."""
    return [text for name in _HANDED_OUT if isinstance(text := members.get(name), str) and text]


def credentials_in(named: Mapping[str, str]) -> Iterator[str]:
    """Yield the credentials among headers or query parameters, without a scheme like ``Bearer``."""
    for name, value in named.items():
        text = value.rpartition(" ")[2]
        if hides(name, value) and _SHORTEST <= len(text) <= _LONGEST:
            yield text


@functools.lru_cache(64)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """Most calls of an endpoint have the same secrets."""
    spelled = "|".join(
        "".join(map(_spelled, text[:_LOOKED_FOR])) + (_REST if len(text) > _LOOKED_FOR else "") for text in secrets
    )
    # A host is printed in lower case.
    return re.compile(spelled, re.IGNORECASE) if spelled else None


def _spelled(character: str) -> str:
    """A pattern for a character as it is, or as URLs or JSON write it."""
    forms = {character, quote(character, safe=""), quote_plus(character), msgspec.json.encode(character).decode()[1:-1]}
    return f"(?:{'|'.join(map(re.escape, sorted(forms)))})" if len(forms) > 1 else re.escape(character)
