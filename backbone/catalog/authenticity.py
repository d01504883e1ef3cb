"""Decides which records of the catalog count: those that a holder of the secret keys wrote, in the order of writing.

Whoever can write to the topic can still add records. Four rules keep them from counting:

- A record needs a MAC of one of ``HEADRACE_SECRET_KEYS``. It covers key and value, so it is good for no other record.
- It names the installation. Another installation with the same secret keys has another id.
- Its sequence is greater than that of every genuine record before it in the log. A copy of an older record, which would
  give a revoked right back, comes after records with greater sequences and is refused.
- A record without a MAC counts only before the first one that has a valid MAC. Versions without MACs wrote those;
  ``backbone.catalog.takeover`` signs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.catalog.macs import MAC_HEADER, Mac, MacKeys, parse_mac
from backbone.kafka.records import Record, headers_of
from schemas.model import topics
from schemas.model.errors import Forged, Misconfigured
from schemas.model.family_record import FamilyRecord, family_record_key
from schemas.model.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backbone.kafka.records import ConsumedRecord
    from schemas.model.resources import Resource

MARKER_FAMILY, MARKER_COLLECTION, MARKER_ID = "headrace", "authenticity", "catalog"
MARKER_KEY = family_record_key(MARKER_FAMILY, MARKER_COLLECTION, MARKER_ID)
"""Record key of the marker: a family's record, so that versions without MACs can read it and pass over it."""

WRITE_ID = "write-id"
"""Header: the write that a record belongs to."""

_SIGNED = frozenset({topics.CATALOG, topics.SCHEMAS, topics.AUDIT})
"""Topics whose records get a MAC."""


class Authenticity:
    """What one reader of the catalog knows about its authenticity.

    The reader's thread judges records. The writer's thread signs, after it has read to the end under the writer lock.

    Attributes:
        sequence: of the last genuine record; 0 when none was read.
        unsigned: record keys of resources without a MAC that still count.
        older: record keys of resources that another key than the newest signed.
        announced: ids of the keys that records may be signed with, as the marker says; empty without a marker.
        complete: whether the marker says that every record of before has been signed.
    """

    def __init__(self, keys: MacKeys) -> None:
        self._keys = keys
        self._installation = ""
        self._foreign: set[str] = set()
        self.sequence = 0
        self.unsigned: dict[str, None] = {}
        self.older: dict[str, None] = {}
        self.announced: frozenset[str] = frozenset()
        self.complete = False

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the secret keys, the newest first."""
        return self._keys.ids

    @property
    def newest(self) -> str:
        """The id of the first secret key."""
        return self._keys.ids[0]

    @property
    def signing(self) -> str:
        """The id of the key to sign with: the newest that every process is known to hold."""
        return next((each for each in self._keys.ids if each in self.announced), self.newest)

    def judge(self, message: ConsumedRecord) -> None:
        """Let a record of ``catalog`` pass that counts.

        Raises:
            Forged: it does not. ``unknown_key`` says that an announced key signed it, which this process lacks.
        """
        key, present = (message.key() or b"").decode(errors="replace"), message.value() is not None
        mac = _mac_of(message)
        if mac is None:
            if self.sequence:
                raise Forged("it has no MAC, and every record since the upgrade has one")
            _note(self.unsigned, key, listed=present)
            return
        if mac.key_id not in self._keys.ids:
            self._foreign.add(mac.key_id)
            reason = f"its MAC is of key {mac.key_id[:16]!r}, which is none of HEADRACE_SECRET_KEYS"
            raise Forged(reason, unknown_key=mac.key_id in self.announced)
        if not self._keys.verify(mac, _parts(message)):
            raise Forged("its MAC is broken")
        if self._installation and mac.installation != self._installation:
            raise Forged("it is signed for another installation")
        if mac.sequence <= self.sequence:
            raise Forged(f"it is a copy of an older record: sequence {mac.sequence} after {self.sequence}")
        self._installation, self.sequence = mac.installation, mac.sequence
        _note(self.unsigned, key, listed=False)
        _note(self.older, key, listed=present and mac.key_id != self.newest)

    def is_ours(self, message: ConsumedRecord) -> bool:
        """Whether a record of any topic has a MAC of ours, whatever its sequence."""
        mac = _mac_of(message)
        return mac is not None and self._keys.verify(mac, _parts(message))

    def apply_marker(self, marker: Resource | None) -> None:
        """Take over what a genuine marker says; before the first genuine record none is."""
        if self.sequence and isinstance(marker, FamilyRecord):
            self.announced = frozenset(str(each) for each in marker.content.get("keys", ()))
            self.complete = marker.content.get("complete") is True

    def sign(self, records: Iterable[Record]) -> list[Record]:
        """The same records with their MACs, for a writer that has read to the end; other topics' stay as they are."""
        # The first record decides the id, once it is read: a transaction that fails must not.
        installation = self._installation or new_id()
        sequence, key_id, signed = self.sequence, self.signing, []
        for record in records:
            if record.topic not in _SIGNED:
                signed.append(record)
                continue
            sequence += 1
            parts = _signed_parts(record.topic, record.key, record.value, record.headers or ())
            mac = self._keys.sign(key_id, installation, sequence, parts)
            headers = [*(record.headers or ()), (MAC_HEADER, mac.encode())]
            signed.append(Record(record.topic, record.value, record.key, headers, record.partition))
        return signed

    def check_keys(self) -> None:
        """Refuse to work with secret keys that are not the installation's.

        Raises:
            Misconfigured: a key is missing: records that count would be taken for forged ones.
        """
        lacking = self.announced - set(self._keys.ids)
        if lacking or (self._foreign and not self.announced):
            raise Misconfigured(
                "HEADRACE_SECRET_KEYS lacks the key that the installation on this Kafka is sealed with: set it, or use"
                " another Kafka. Before a key is dropped, headrace reseal must have run"
            )


def _note(keys: dict[str, None], key: str, *, listed: bool) -> None:
    if listed:
        keys[key] = None
    else:
        keys.pop(key, None)


def _mac_of(message: ConsumedRecord) -> Mac | None:
    found = [value for name, value in headers_of(message) if name == MAC_HEADER]
    return parse_mac(found[0]) if len(found) == 1 and found[0] is not None else None


def _parts(message: ConsumedRecord) -> list[bytes | None]:
    return _signed_parts(message.topic(), message.key(), message.value(), headers_of(message))


def _signed_parts(
    topic: str, key: bytes | str | None, value: bytes | str | None, headers: Iterable[tuple[str, bytes | None]]
) -> list[bytes | None]:
    write_id = next((content for name, content in headers if name == WRITE_ID), None)
    return [topic.encode(), _bytes(key), _bytes(value), write_id]


def _bytes(text: bytes | str | None) -> bytes | None:
    return text.encode() if isinstance(text, str) else text


def marker(keys: Sequence[str], *, complete: bool, now: int) -> FamilyRecord:
    """The record that says with which keys records are signed, and whether all records of before have been."""
    return FamilyRecord(
        family=MARKER_FAMILY,
        collection=MARKER_COLLECTION,
        id=MARKER_ID,
        workspace="",
        content={"keys": sorted(keys), "complete": complete},
        created_at=now,
        updated_at=now,
    )
