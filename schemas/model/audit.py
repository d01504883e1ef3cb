"""The audit log: one record on ``audit`` for each resource of the catalog that a write changed."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from schemas.model.errors import CorruptRecord


class AuditAction(StrEnum):
    """What a write did to a resource."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


class FieldChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field that a write changed.

    Attributes:
        name: of the field.
        before, after: its values as JSON; None for a field that may hold a secret, and for none.
    """

    name: str
    before: Any = None
    after: Any = None


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """The client whose request changed something, as it was called then.

    Attributes:
        client, workspace: its id, and the workspace that it belongs to.
        name: for people.
    """

    client: str
    workspace: str
    name: str


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one resource. It has no secret: only fields that hold none are shown with their values.

    Attributes:
        write: id of the write; changes of one write happened together.
        at: microseconds since the epoch.
        workspace: name of the resource's workspace; empty for what belongs to none.
        actor: None for a change that the gateway made itself.
        action: what was done.
        kind: of the resource, as in the catalog.
        id: of the resource among those of its kind.
        name: of the resource, for people.
        fields: those that changed, of a new resource those that are set; of a deleted one none.
    """

    write: str
    at: int
    workspace: str
    actor: Actor | None
    action: AuditAction
    kind: str
    id: str
    name: str = ""
    fields: tuple[FieldChange, ...] = ()

    def to_json(self) -> bytes:
        """The record's value."""
        return msgspec.json.encode(self)


_ENTRIES = msgspec.json.Decoder(AuditEntry)


def decode_audit_entry(value: bytes) -> AuditEntry:
    """Read a record's value.

    Raises:
        CorruptRecord: it is none.
    """
    try:
        return _ENTRIES.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptRecord(f"not an entry of the audit log: {error}") from error
