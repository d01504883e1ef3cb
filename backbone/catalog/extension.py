"""What an API family adds to the catalog: resources that it guards, and edits that go along with the writes of others.

The catalog knows no family. ``families.registry`` lists the extensions, and a process that writes the catalog passes
them to its ``CatalogWriter``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from schemas.model.errors import InvalidRequest, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import Record
    from schemas.model.event_type import Registration
    from schemas.model.family_record import FamilyRecord
    from schemas.model.resources import Resource


class Edits(NamedTuple):
    """The resources that a write puts, and the record keys that it deletes."""

    put: Sequence[Resource] = ()
    delete: Sequence[str] = ()


def check_content(record: FamilyRecord, kind: type[Any]) -> Any:
    """What a record holds, as the family has it.

    Raises:
        InvalidRequest: it is something else.
    """
    try:
        return msgspec.convert(record.content, kind)
    except msgspec.ValidationError as error:
        what = f"is no {record.collection} of {record.family}: {error}"
        raise InvalidRequest("The record cannot be read.", [Problem(path="$.content", message=what)]) from error


class CatalogExtension:
    """One family's part in every write. A family overrides the methods that it needs; the others do nothing.

    All methods run on the writer's thread, more than once if the writer lock is lost meanwhile. They must be quick and
    depend on nothing but their arguments.
    """

    def guard(self, view: CatalogView, resource: Resource) -> None:
        """Refuse to change or delete a resource that only the family's own API may change.

        Raises:
            Conflict: the resource belongs to the family.
        """

    def guard_registration(self, view: CatalogView, registration: Registration) -> None:
        """Refuse a new registration.

        Raises:
            PermissionDenied: the family reserves the event type for another client.
        """

    def check_record(self, record: FamilyRecord) -> None:
        """Refuse a record that was imported as one of the family's own, and that the family could not read.

        Raises:
            InvalidRequest: it could not.
        """

    def additions(self, before: CatalogView, edits: Edits) -> Edits:  # noqa: ARG002  # for families
        """Return what else has to be put and deleted in the same write."""
        return Edits()

    def events(self, before: CatalogView, edits: Edits) -> Callable[[CatalogView], Sequence[Record]]:  # noqa: ARG002  # for families
        """Return a function that makes records of other topics, which are written in the same transaction.

        Args:
            before: the catalog before the write; the function is given the catalog after it.
            edits: all that the write puts and deletes, additions included.
        """
        return lambda _after: ()


class Extensions(CatalogExtension):
    """Several extensions as one.

    Args:
        extensions: all of them; each gets the edits of the write itself, not the additions of the others.
    """

    def __init__(self, extensions: Sequence[CatalogExtension]) -> None:
        self._extensions = extensions

    def guard(self, view: CatalogView, resource: Resource) -> None:
        """Ask every extension."""
        for each in self._extensions:
            each.guard(view, resource)

    def guard_registration(self, view: CatalogView, registration: Registration) -> None:
        """Ask every extension."""
        for each in self._extensions:
            each.guard_registration(view, registration)

    def check_record(self, record: FamilyRecord) -> None:
        """Ask every extension."""
        for each in self._extensions:
            each.check_record(record)

    def additions(self, before: CatalogView, edits: Edits) -> Edits:
        """Return the additions of all. Where the write itself puts or deletes a resource, that stands."""
        known = {resource.key for resource in edits.put} | set(edits.delete)
        put: dict[str, Resource] = {}
        delete: dict[str, None] = {}
        for each in self._extensions:
            more = each.additions(before, edits)
            put |= {resource.key: resource for resource in more.put if resource.key not in known}
            delete |= {key: None for key in more.delete if key not in known}
        return Edits([*put.values()], [*delete])

    def events(self, before: CatalogView, edits: Edits) -> Callable[[CatalogView], Sequence[Record]]:
        """Return a function that makes the records of all."""
        following = [each.events(before, edits) for each in self._extensions]
        return lambda after: [record for each in following for record in each(after)]
