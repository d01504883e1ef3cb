"""Who changed what: the records of the audit log, written in the transaction that changes the catalog."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from backbone.catalog.authenticity import MARKER_KEY, WRITE_ID
from backbone.catalog.differences import field_changes, named
from backbone.kafka.records import Record
from schemas.model import timestamps, topics
from schemas.model.audit import Actor, AuditAction, AuditEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.view import CatalogView
    from schemas.model.access import Client
    from schemas.model.audit import FieldChange
    from schemas.model.resources import Resource

ACTOR: ContextVar[Client | None] = ContextVar("actor", default=None)
"""The client whose request is being handled."""


def audit_records(
    before: CatalogView, put: Sequence[Resource], delete: Sequence[str], *, write_id: str, actor: Client | None
) -> list[Record]:
    """Return the records about a write; none for a resource that it leaves as it was.

    Args:
        before: the catalog before the write.
        put: the resources that the write puts.
        delete: the record keys that it deletes.
        write_id: of the write.
        actor: who asked for it; None is the gateway itself.
    """
    at = timestamps.now()
    who = None if actor is None else Actor(client=actor.id, workspace=actor.workspace, name=actor.name)

    def record(resource: Resource, action: AuditAction, fields: Sequence[FieldChange] = ()) -> Record:
        kind, resource_id, name, workspace = named(resource)
        entry = AuditEntry(
            write=write_id,
            at=at,
            workspace=workspace,
            actor=who,
            action=action,
            kind=kind,
            id=resource_id,
            name=name,
            fields=tuple(fields),
        )
        return Record(topics.AUDIT, entry.to_json(), workspace.encode(), [(WRITE_ID, write_id.encode())])

    found = []
    for resource in put:
        known = before.get(resource.key)
        if known is resource or resource.key == MARKER_KEY:
            continue
        fields = field_changes(known, resource)
        if known is None:
            found.append(record(resource, AuditAction.CREATED, fields))
        elif fields:
            found.append(record(resource, AuditAction.CHANGED, fields))
    gone = (before.get(key) for key in delete)
    return found + [record(each, AuditAction.DELETED) for each in gone if each is not None]
