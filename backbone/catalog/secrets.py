"""Secrets at rest: sealed where they must be read again, hashed where they need only be recognised."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEY_BYTES = 32

UNSET = ""
"""In the place of a sealed secret that an import left out: it has to be set."""


class SecretBox:
    """Seals and hashes with the installation's secret keys.

    The first key is used for everything new; what was sealed or hashed with another is still understood. To rotate, put
    a new key in front, let every plane restart, reseal what is stored, and drop the old key once no API key hash of it
    is in use.

    Args:
        keys: ``HEADRACE_SECRET_KEYS``, at least one.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise Misconfigured("HEADRACE_SECRET_KEYS must hold at least one key")
        self._fernets = [Fernet(base64.urlsafe_b64encode(_derive(key, b"seal"))) for key in keys]
        self._box = MultiFernet(self._fernets)
        self._hash_keys = [_derive(key, b"digest") for key in keys]

    def seal(self, text: str) -> str:
        """Encrypt and authenticate; every call gives another token."""
        return self._box.encrypt(text.encode()).decode()

    def open(self, token: str) -> str:
        """Decrypt what ``seal`` gave, with whichever key made it.

        Raises:
            Misconfigured: none of the keys made it, or it has to be set.
        """
        if token == UNSET:
            raise Misconfigured("a secret was left out when the catalog was imported: set it")
        try:
            return self._box.decrypt(token).decode()
        except InvalidToken as error:
            raise Misconfigured(
                "a stored secret cannot be opened: HEADRACE_SECRET_KEYS lacks the key that sealed it"
            ) from error

    def is_current(self, token: str) -> bool:
        """Whether the first key sealed it."""
        try:
            self._fernets[0].decrypt(token)
        except InvalidToken:
            return False
        return True

    def resealed(self, token: str) -> str:
        """The same text sealed with the first key; the same token if it is already.

        Raises:
            Misconfigured: none of the keys made it.
        """
        return token if token == UNSET or self.is_current(token) else self.seal(self.open(token))

    def digest(self, api_key: str) -> str:
        """The keyed hash to store of an API key."""
        return self.digests(api_key)[0]

    def digests(self, api_key: str) -> tuple[str, ...]:
        """The hash under each key, the current one first: what to look an API key up by."""
        return tuple(hmac.new(key, api_key.encode(), hashlib.sha256).hexdigest() for key in self._hash_keys)


def _derive(key: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=_KEY_BYTES, salt=None, info=b"headrace " + purpose).derive(key.encode())
