"""Event types and registrations: each change keeps topic, attributes and Avro schema in step."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.accounts import existing_workspace
from backbone.catalog.event_topics import EventTopics
from backbone.catalog.event_type_changes import Registered, changes_of, following, with_also
from backbone.catalog.type_changes import check_partitions, evolved, existing_event_type
from backbone.catalog.writer import Changes
from schemas.avro.attributes import canonical
from schemas.model import timestamps, topics
from schemas.model.errors import AlreadyExists, Conflict, InvalidRequest, NotFound, Problem
from schemas.model.event_type import Compatibility, EventType, LedgerPolicy, Registration, RegistrationKind
from schemas.model.operational_event import check_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.reader import Catalog
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from backbone.kafka.admin import Admin
    from schemas.model.access import Client
    from schemas.model.event_type import Attribute
    from schemas.model.resources import Resource

_DEFAULT_PARTITIONS = 4
"""Of a new event type for which nobody said how many."""


class EventTypes:
    """Registers, changes and deletes event types; all methods raise ``Unavailable`` when Kafka cannot answer.

    A topic is created before the catalog speaks of it. The event type, its registration and its new schema are then
    written in one transaction.

    Args:
        catalog: this process's reader.
        writer: this process's writer.
        admin: creates the topics.

    Attributes:
        event_topics: the types' topics.
    """

    def __init__(self, catalog: Catalog, writer: CatalogWriter, admin: Admin) -> None:
        self._catalog = catalog
        self._writer = writer
        self.event_topics = EventTopics(admin)

    async def register(
        self,
        client: Client | None,
        workspace: str,
        namespace: str,
        code: str,
        *,
        attributes: Sequence[Attribute] | None = None,
        open: bool | None = None,  # noqa: A002  # the event type's own word for it
        kind: RegistrationKind = RegistrationKind.PUBLISH,
        name: str = "",
        description: str = "",
        version: int = 1,
        partition_key: str | None = None,
        partitions: int | None = None,
        compatibility: Compatibility | None = None,
        ledger: LedgerPolicy | None = None,
        compacted: bool | None = None,
        beside: Callable[[CatalogView], Sequence[Resource]] | None = None,
        operational: bool = False,
    ) -> Registered:
        """Register a client for an event type, which comes into being with its first registration.

        Without a client the event type itself is declared. Settings that are None take what the type has, or the
        defaults for a new one. A repeat that says the same changes nothing.

        Args:
            client: who publishes or receives it; None declares the type with ``attributes`` of its own.
            workspace: its name.
            namespace: of the code.
            code: of the event type in its namespace.
            attributes: those of this client; None means those that the type has.
            open: the data is any JSON, and there are no attributes.
            kind: whether the client publishes or receives it.
            name: for people.
            description: for people.
            version: of the client's registration.
            partition_key: ``source``, ``data.<attribute>`` or ``identifier.<name>``.
            partitions: of the topic.
            compatibility: how the schema may evolve.
            ledger: what the ledger keeps of it.
            compacted: the topic keeps each key's last event.
            beside: what else is put in the same transaction, decided under the writer lock.
            operational: it is a type of the gateway's own events; nobody else registers in their namespace.

        Returns:
            The event type as it is now, and the client's registration.

        Raises:
            InvalidRequest: a name, an attribute or a setting is not one.
            NotFound: there is no such workspace.
            AlreadyExists: the type or the client's registration exists and differs.
            PermissionDenied: the namespace is the gateway's, or an API family reserves the event type for another
                client.
            Conflict: an attribute has another type in another registration, or settings contradict each other.
            IncompatibleSchema: the new schema breaks the type's compatibility level.
        """
        check_names(namespace, code)
        if not operational:
            check_namespace(namespace)
        topic = topics.event_topic(workspace, namespace, code)
        asked = {
            "open": open,
            "partition_key": partition_key,
            "effective_partitions": partitions,
            "compatibility": compatibility,
            "ledger": ledger,
            "compacted": compacted,
        }
        asked = {setting: value for setting, value in asked.items() if value is not None}
        listed = None if attributes is None else self._listed(topic, attributes)

        def decide(view: CatalogView) -> Changes[Registered]:
            existing_workspace(view, workspace)
            now = timestamps.now()
            found = view.event_type(topic)
            if found is not None:
                differing = [setting for setting, value in asked.items() if getattr(found, setting) != value]
                if differing:
                    raise AlreadyExists(f"event type {namespace}/{code} exists with another {', '.join(differing)}")
            event_type = found or EventType(
                workspace=workspace,
                namespace=namespace,
                code=code,
                name=name,
                description=description,
                **({"effective_partitions": _DEFAULT_PARTITIONS} | asked),  # type: ignore[arg-type]  # one of each kind
                schema_id=0,
                created_at=now,
                updated_at=now,
            )
            if event_type.open and listed:
                raise Conflict(f"event type {namespace}/{code} is open: it has no attributes")
            if client is None:
                if found is not None and listed is not None and listed != found.declared:
                    raise AlreadyExists(f"event type {namespace}/{code} exists with other attributes")
                declared = event_type.declared if listed is None else listed
                return changes_of(view, found, msgspec.structs.replace(event_type, declared=declared), None)
            wanted = Registration(
                client=client.id,
                workspace=workspace,
                namespace=namespace,
                code=code,
                registration=kind,
                name=name,
                description=description,
                version=version,
                attributes=event_type.attributes if listed is None else listed,
                created_at=now,
                updated_at=now,
            )
            registered = self._registered(view, wanted, attributes_said=listed is not None)
            return changes_of(view, found, event_type, registered)

        # Refused before a topic is created for it, and a repeat is answered without taking the writer lock.
        whole = with_also(decide, beside)
        await self._catalog.caught_up()
        planned = whole(self._catalog.view)
        await self._have_topic(planned, is_declared=client is None)
        return await self._writer.write(whole) if planned.put else planned.result

    async def _have_topic(self, planned: Changes[Registered], *, is_declared: bool) -> None:
        event_type, _ = planned.result
        if self._catalog.view.event_type(event_type.topic) is None:
            self._check_partitions(event_type.workspace, event_type.effective_partitions)
            await self.event_topics.have_of_new(event_type)
        elif is_declared and not planned.put:
            # Somebody may have deleted it in Kafka: to declare the type again mends that.
            await self.event_topics.have(event_type)

    async def update(
        self,
        workspace: str,
        namespace: str,
        code: str,
        *,
        attributes: Sequence[Attribute] | None = None,
        name: str | None = None,
        description: str | None = None,
        partitions: int | None = None,
        compatibility: Compatibility | None = None,
        ledger: LedgerPolicy | None = None,
    ) -> EventType:
        """Change an event type; what is None stays. ``attributes`` are all that it shall have.

        Registrations of our own API that list all attributes of the type follow it; others stay as they are.

        More partitions move keys to other partitions: order per key holds among the events before and those after.

        Raises:
            InvalidRequest: an attribute or a setting is not one.
            NotFound: there is no such event type.
            PermissionDenied: attributes of an operational event.
            QuotaExceeded: the workspace may not have so many partitions.
            Conflict: fewer partitions, attributes for an open type, one that a registration has with another type, or
                one left out that a registration lists.
            IncompatibleSchema: the new schema breaks the compatibility level.
        """
        if attributes is not None:
            check_namespace(namespace)
        topic = topics.event_topic(workspace, namespace, code)
        asked: dict[str, object] = {
            "declared": None if attributes is None else self._listed(topic, attributes),
            "name": name,
            "description": description,
            "effective_partitions": partitions,
            "compatibility": compatibility,
            "ledger": ledger,
        }
        asked = {setting: value for setting, value in asked.items() if value is not None}

        def decide(view: CatalogView) -> Changes[Registered]:
            found = existing_event_type(view, topic)
            if partitions is not None:
                check_partitions(view, found, partitions)
            if found.open and attributes:
                raise Conflict(f"event type {namespace}/{code} is open: it has no attributes")
            event_type = msgspec.structs.replace(found, **asked)
            if attributes is None:
                return changes_of(view, found, event_type, None)
            follow = following(view, found, event_type.declared)
            changes = changes_of(view, found, event_type, None, follow)
            return dataclasses.replace(changes, put=[*changes.put, *follow])

        if partitions is not None:
            await self._catalog.caught_up()
            grown = decide(self._catalog.view).result[0]
            before = existing_event_type(self._catalog.view, topic)
            self._check_partitions(workspace, grown.effective_partitions - before.effective_partitions)
            await self.event_topics.have(grown)
        event_type, _ = await self._writer.write(decide)
        return event_type

    def _check_partitions(self, workspace: str, more: int) -> None:
        """Refuse partitions before Kafka has them."""
        if self._writer.bounds is not None:
            self._writer.bounds.check_partitions(self._catalog.view, workspace, more)

    async def renew(self, event_type: EventType) -> EventType:
        """Give an event type the schema that this release derives; it is compatible with those of earlier ones.

        Raises:
            NotFound: there is no such event type.
            IncompatibleSchema: somebody registered another schema for its subject that contradicts this one.
        """

        def decide(view: CatalogView) -> Changes[Registered]:
            found = existing_event_type(view, event_type.topic)
            return changes_of(view, found, found, None)

        renewed, _ = await self._writer.write(decide)
        return renewed

    async def update_registration(
        self,
        client_id: str,
        workspace: str,
        namespace: str,
        code: str,
        *,
        kind: RegistrationKind = RegistrationKind.PUBLISH,
        attributes: Sequence[Attribute] | None = None,
        name: str | None = None,
        description: str | None = None,
        version: int | None = None,
    ) -> Registered:
        """Change a client's registration, and with it the event type's attributes and schema; what is None stays.

        Raises:
            InvalidRequest: an attribute is not one.
            NotFound: the client has no such registration.
            Conflict: another registration has one of the attributes with another type, or the event type is open.
            IncompatibleSchema: the new schema breaks the compatibility level.
        """
        topic = topics.event_topic(workspace, namespace, code)
        asked: dict[str, object] = {
            "attributes": None if attributes is None else self._listed(topic, attributes),
            "name": name,
            "description": description,
            "version": version,
        }
        asked = {setting: value for setting, value in asked.items() if value is not None}

        def decide(view: CatalogView) -> Changes[Registered]:
            found = existing_event_type(view, topic)
            registration = _existing_registration(view, client_id, topic, kind)
            if found.open and attributes:
                raise Conflict(f"event type {namespace}/{code} is open: it has no attributes")
            return changes_of(view, found, found, msgspec.structs.replace(registration, **asked))

        return await self._writer.write(decide)

    async def delete_registration(
        self,
        client_id: str,
        workspace: str,
        namespace: str,
        code: str,
        kind: RegistrationKind = RegistrationKind.PUBLISH,
    ) -> None:
        """Delete a client's registration. The event type loses what only it listed; the topic stays.

        Raises:
            NotFound: the client has no such registration.
            Conflict: an attribute that only it listed is the partition key; or it belongs to an API family.
            IncompatibleSchema: without its attributes the schema breaks the compatibility level.
        """
        topic = topics.event_topic(workspace, namespace, code)

        def decide(view: CatalogView) -> Changes[None]:
            gone = _existing_registration(view, client_id, topic, kind)
            self._writer.extension.guard(view, gone)
            found = existing_event_type(view, topic)
            others = [each for each in view.registrations_for(topic) if each.key != gone.key]
            event_type, schemas = evolved(view, found, others)
            put = [] if event_type == found else [msgspec.structs.replace(event_type, updated_at=timestamps.now())]
            return Changes(put=put, delete=[gone.key], schemas=schemas, result=None)

        await self._writer.write(decide)

    async def delete(self, workspace: str, namespace: str, code: str) -> None:
        """Delete an event type and its registrations. Its topic stays with its events, and so do its schemas.

        Raises:
            Conflict: it belongs to an API family, whose own API changes it.
            NotFound: there is no such event type.
        """
        topic = topics.event_topic(workspace, namespace, code)

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_event_type(view, topic)
            self._writer.extension.guard(view, found)
            gone: list[Resource | None] = [found, *view.registrations_for(topic), view.growth(topic)]
            return Changes(delete=[each.key for each in gone if each is not None], result=None)

        await self._writer.write(decide)

    def _listed(self, topic: str, attributes: Sequence[Attribute]) -> tuple[Attribute, ...]:
        """A list of attributes as it is kept; refused here if it is too long, before it costs anything."""
        found = self._catalog.view.event_type(topic)
        if self._writer.bounds is not None:
            self._writer.bounds.check_attributes(len(attributes), 0 if found is None else len(found.attributes))
        return canonical(attributes)

    def _registered(self, view: CatalogView, wanted: Registration, *, attributes_said: bool) -> Registration:
        """The registration that there is, or the one that is wanted.

        Raises:
            AlreadyExists: there is one that says something else.
            PermissionDenied: its client may not publish the type.
        """
        found = view.registration(wanted.client, wanted.topic, wanted.registration)
        if found is None:
            self._writer.extension.guard_registration(view, wanted)
            return wanted
        _check_same(found, wanted, attributes_said=attributes_said)
        return found


def check_names(namespace: str, code: str) -> None:
    """Refuse a namespace or a code that cannot be one."""
    problems = [
        Problem(path=path, message="must be 1 to 255 printable characters other than *")
        for path, text in (("$.namespace", namespace), ("$.code", code))
        if not 1 <= len(text) <= 255 or not text.isprintable() or text == "*"  # noqa: PLR2004  # as the message says
    ]
    if problems:
        raise InvalidRequest("The event type cannot be registered.", problems)


def _check_same(registered: Registration, wanted: Registration, *, attributes_said: bool) -> None:
    if attributes_said and set(registered.attributes) != set(wanted.attributes):
        raise AlreadyExists(f"{wanted.namespace}/{wanted.code} is registered for this client with other attributes")
    said = (wanted.name or registered.name, wanted.description or registered.description, wanted.version)
    if said != (registered.name, registered.description, registered.version):
        raise AlreadyExists(f"{wanted.namespace}/{wanted.code} is registered for this client with another description")


def _existing_registration(view: CatalogView, client_id: str, topic: str, kind: RegistrationKind) -> Registration:
    found = view.registration(client_id, topic, kind)
    if found is None:
        raise NotFound(f"client {client_id} has no {kind.value} registration of this event type")
    return found
