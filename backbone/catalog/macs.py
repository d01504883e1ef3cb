"""The MAC of a catalog record: a header that only a holder of ``HEADRACE_SECRET_KEYS`` can make.

The header ``hr_mac`` is ``v1.<key id>.<installation>.<sequence>.<HMAC-SHA-256 in hex>``. The MAC covers the topic, the
record's key and value (a tombstone has none), the write's id, and the fields before it. The key of the MAC comes from a
secret key by HKDF; the key id comes from it too, so that it tells nothing about the secret.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

MAC_HEADER = "hr_mac"

_VERSION = "v1"
_FIELDS = 5
_KEY_BYTES = 32
_ID_BYTES = 6
_ABSENT = (0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "big")
"""Written for the length of a part that is not there: no value has this length."""


class Mac(msgspec.Struct, frozen=True):
    """A parsed header.

    Attributes:
        key_id: which key made it.
        installation: the id of the installation that the record belongs to.
        sequence: greater than that of every record written before.
        digest: HMAC-SHA-256 in hex.
    """

    key_id: str
    installation: str
    sequence: int
    digest: str

    @property
    def head(self) -> str:
        """The fields that the digest covers."""
        return f"{_VERSION}.{self.key_id}.{self.installation}.{self.sequence}"

    def encode(self) -> bytes:
        """The header's value."""
        return f"{self.head}.{self.digest}".encode()


def parse_mac(header: bytes) -> Mac | None:
    """Read a header's value; None when it is not one."""
    try:
        version, key_id, installation, sequence, digest = header.decode("ascii").split(".", _FIELDS - 1)
        number = int(sequence)
    except ValueError:
        return None
    if version != _VERSION or str(number) != sequence or number < 0:
        return None
    return Mac(key_id, installation, number, digest)


class MacKeys:
    """The MAC keys that come from ``HEADRACE_SECRET_KEYS``: the newest first, all of them verify.

    Args:
        secret_keys: at least one.

    Attributes:
        ids: the keys' ids, in the order of the secret keys.
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        if not secret_keys:
            raise Misconfigured("HEADRACE_SECRET_KEYS must hold at least one key")
        self._keys = {_derive(key, b"catalog key id", _ID_BYTES).hex(): _key(key) for key in secret_keys}
        self.ids = tuple(self._keys)

    def sign(self, key_id: str, installation: str, sequence: int, parts: Sequence[bytes | None]) -> Mac:
        """Make the MAC of a record's parts with one of the keys."""
        unsigned = Mac(key_id, installation, sequence, "")
        return msgspec.structs.replace(unsigned, digest=self._digest(unsigned, parts))

    def verify(self, mac: Mac, parts: Sequence[bytes | None]) -> bool:
        """Whether the key that the MAC names is one of ours and made it of these parts."""
        return mac.key_id in self._keys and hmac.compare_digest(self._digest(mac, parts).encode(), mac.digest.encode())

    def _digest(self, mac: Mac, parts: Sequence[bytes | None]) -> str:
        # With its length before each part, no two lists of parts are the same text.
        text = b"".join(
            _ABSENT if part is None else len(part).to_bytes(8, "big") + part for part in (mac.head.encode(), *parts)
        )
        return hmac.digest(self._keys[mac.key_id], text, hashlib.sha256).hex()


def _key(secret_key: str) -> bytes:
    return _derive(secret_key, b"catalog mac", _KEY_BYTES)


def _derive(secret_key: str, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length=length, salt=None, info=b"headrace " + purpose).derive(secret_key.encode())
