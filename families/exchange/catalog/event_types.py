"""What Exchange endpoints change of their registered event types: whole attribute lists, and whole codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from backbone.catalog.type_changes import MOST_ATTRIBUTES, evolved, existing_event_type
from backbone.catalog.writer import Changes
from schemas.avro.attributes import canonical
from schemas.model import timestamps
from schemas.model.errors import Conflict, InvalidRequest, NotFound, PayloadTooLarge, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.indexes import RegisteredSchema
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from schemas.model.access import Client
    from schemas.model.event_type import Attribute, Registration, RegistrationKind
    from schemas.model.resources import Resource

T = TypeVar("T")

DEFAULT_NAMESPACE = "exchange"
"""Of an event type that is registered without one."""


class ExchangeEventTypes:
    """Changes several registrations of one endpoint together; methods raise ``Unavailable`` when Kafka cannot answer.

    Args:
        writer: this process's writer.
    """

    def __init__(self, writer: CatalogWriter) -> None:
        self._writer = writer

    async def replace_attributes(
        self,
        client: Client,
        kind: RegistrationKind,
        attributes: Sequence[Attribute],
        *,
        code: str | None = None,
        namespace: str | None = None,
    ) -> list[Registration]:
        """Give all registrations of a kind these attributes and no others, or only those of a code.

        Returns:
            The registrations as they are now, the oldest first.

        Raises:
            InvalidRequest: an attribute is not one.
            NotFound: no such code is registered.
            Conflict: another registration has one of the attributes with another type, or the event type is open.
            IncompatibleSchema: a new schema breaks the compatibility level of its event type.
        """
        if self._writer.bounds is not None:
            self._writer.bounds.check_attributes(len(attributes))
        listed = canonical(attributes)

        def decide(view: CatalogView) -> Changes[list[Registration]]:
            found = _registrations(view, client, code, namespace, kind)
            _check_work(view, found, len(listed))
            if code is not None and not found:
                raise NotFound(f"{code} is not registered by this endpoint.")
            now = timestamps.now()
            wanted = [
                each if each.attributes == listed else msgspec.structs.replace(each, attributes=listed, updated_at=now)
                for each in found
            ]
            return _changes(view, [each for each in wanted if each not in found], [], wanted)

        return await self._writer.write(decide)

    async def delete(self, client: Client, code: str, namespace: str | None = None) -> bool:
        """Remove a code from what a client has registered, whether it publishes or receives it; whether it was there.

        Raises:
            InvalidRequest: the code is registered in several namespaces, and none is named.
            Conflict: an attribute that only it listed is the partition key.
            IncompatibleSchema: without its attributes a schema breaks the compatibility level.
        """

        def decide(view: CatalogView) -> Changes[bool]:
            found = _registrations(view, client, code, namespace, None)
            namespaces = {each.namespace for each in found}
            if namespace is None and DEFAULT_NAMESPACE in namespaces:
                found = [each for each in found if each.namespace == DEFAULT_NAMESPACE]
            elif len(namespaces) > 1:
                message = f"is needed: {code} is registered in {', '.join(sorted(namespaces))}"
                raise InvalidRequest("The event type is not clear.", [Problem(path="namespace", message=message)])
            return _changes(view, [], found, bool(found))

        return await self._writer.write(decide)


def _check_work(view: CatalogView, registrations: Sequence[Registration], attributes: int) -> None:
    """Refuse a change of so many event types that all other changes would wait for it."""
    topics = {each.topic for each in registrations}
    found = [view.event_type(topic) for topic in topics]
    work = sum(max(attributes, 0 if each is None else len(each.attributes)) for each in found)
    if len(topics) > 1 and work > MOST_ATTRIBUTES:
        message = (
            f"{len(topics):,} event types would change with {work:,} attributes together; one change may touch "
            f"{MOST_ATTRIBUTES:,}. Name the event type, and change one after the other."
        )
        raise PayloadTooLarge(message, [Problem(path="attributes", message=message)])


def _registrations(
    view: CatalogView, client: Client, code: str | None, namespace: str | None, kind: RegistrationKind | None
) -> list[Registration]:
    found = [
        each
        for each in view.registrations_of(client.workspace, client.id)
        if code in (None, each.code) and namespace in (None, each.namespace) and kind in (None, each.registration)
    ]
    return sorted(found, key=lambda each: each.created_at)


def _changes(view: CatalogView, changed: Sequence[Registration], gone: Sequence[Registration], result: T) -> Changes[T]:
    """With what follows for the event types and their schemas, of which several may be new."""
    draft = view.copy()
    for each in changed:
        draft.put(each, each.updated_at)
    for each in gone:
        draft.remove(each.key)
    put: list[Resource] = [*changed]
    schemas: list[RegisteredSchema] = []
    for topic in dict.fromkeys(each.topic for each in (*changed, *gone)):
        found = existing_event_type(draft, topic)
        if found.open and any(each.attributes for each in changed):
            raise Conflict(f"event type {found.namespace}/{found.code} is open: it has no attributes")
        event_type, fresh = evolved(draft, found, draft.registrations_for(topic))
        for schema in fresh:
            draft.put_schema(schema)
        schemas += fresh
        if event_type != found:
            put.append(msgspec.structs.replace(event_type, updated_at=timestamps.now()))
    return Changes(put=put, delete=[each.key for each in gone], schemas=schemas, result=result)
