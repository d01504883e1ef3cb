"""Takes secrets out of what is kept of a call: those that its request held, and those that a token URL handed out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import msgspec

from schemas.execution import HIDDEN
from schemas.secrecy import hides

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_HANDED_OUT = ("access_token", "refresh_token", "id_token")
"""Members of a token URL's answer."""

_SHORTEST, _LONGEST = 6, 8_192
"""Characters of a credential that is looked for in texts; a shorter one is found in words that are none."""


class Redaction:
    """Replaces secrets in texts, however a template or an answer spells them there."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spelled = "|".join("".join(map(_spelled, text)) for text in sorted(set(secrets), key=len, reverse=True))
        # A host is printed in lower case.
        self._found = re.compile(spelled, re.IGNORECASE) if spelled else None

    def __call__(self, text: str) -> str:
        """The text with the secrets replaced."""
        return text if self._found is None else self._found.sub(HIDDEN, text)

    def named(self, named: Mapping[str, str]) -> dict[str, str]:
        """Headers or query parameters."""
        return {name: self(text) for name, text in named.items()}


def handed_out(members: Mapping[str, Any]) -> list[str]:
    """The secrets in a token URL's answer."""
    return [text for name in _HANDED_OUT if isinstance(text := members.get(name), str) and text]


def credentials_in(named: Mapping[str, str]) -> Iterator[str]:
    """The values of headers or query parameters that are credentials, without a scheme like ``Bearer``."""
    for name, value in named.items():
        text = value.rpartition(" ")[2]
        if hides(name, value) and _SHORTEST <= len(text) <= _LONGEST:
            yield text


def _spelled(character: str) -> str:
    """A pattern for a character, itself or as URLs or JSON have it."""
    forms = {character, quote(character, safe=""), quote_plus(character), msgspec.json.encode(character).decode()[1:-1]}
    return f"(?:{'|'.join(map(re.escape, sorted(forms)))})" if len(forms) > 1 else re.escape(character)
