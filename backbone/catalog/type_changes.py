"""How an event type's attributes and schema follow from its registrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas.avro import compatibility
from schemas.avro import schema as avro_schema
from schemas.avro.attributes import union
from schemas.model.errors import Conflict, InvalidRequest, NotFound, Problem
from schemas.model.operational_event import is_operational

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.indexes import RegisteredSchema
    from backbone.catalog.view import CatalogView
    from schemas.model.event_type import Attribute, EventType, Registration

MOST_PARTITIONS = 1_000
"""Of one event type: a slip of the keyboard must not fill the cluster."""


MOST_ATTRIBUTES = 20_000
"""That one change may look at: all other changes wait for it, some 50 µs for each."""


def existing_event_type(view: CatalogView, topic: str) -> EventType:
    """An event type by its topic, or ``NotFound``."""
    found = view.event_type(topic)
    if found is None:
        raise NotFound("there is no such event type")
    return found


def has_identity(view: CatalogView, event_type: EventType) -> bool:
    """Whether the schema that the type's events are written with is of this release, not of an earlier one."""
    schema = view.schema(event_type.schema_id)
    return schema is None or avro_schema.has_identity(schema.text)


def check_partitions(view: CatalogView, event_type: EventType, partitions: int) -> None:
    """Check that events can go to so many partitions from now on.

    Raises:
        Conflict: they are fewer, or the topic grows in order.
    """
    name = f"event type {event_type.namespace}/{event_type.code}"
    if partitions < event_type.effective_partitions:
        raise Conflict(f"{name} has {event_type.effective_partitions} partitions already")
    growth = view.growth(event_type.topic)
    if growth is not None and not growth.is_ended and partitions != event_type.effective_partitions:
        raise Conflict(f"{name} grows to {growth.partitions} partitions: wait until that has ended")


def check_key(view: CatalogView, event_type: EventType, key: str | None) -> None:
    """Check that new events can have another partition key.

    Raises:
        Conflict: the topic grows in order or is compacted, the events are operational, or have no such attribute.
    """
    if key == event_type.partition_key:
        return
    name = f"event type {event_type.namespace}/{event_type.code}"
    growth = view.growth(event_type.topic)
    if growth is not None and not growth.is_ended:
        raise Conflict(f"{name} grows to {growth.partitions} partitions: wait until that has ended")
    if event_type.compacted:
        raise Conflict(f"{name} is compacted: the last events of the former keys would stay for ever")
    if is_operational(event_type.topic):
        raise Conflict("operational events keep the order of their endpoint")
    changed = msgspec.structs.replace(event_type, partition_key=key)
    evolved(view, changed, view.registrations_for(event_type.topic))


def check_settings(event_type: EventType) -> None:
    """Check what does not depend on the attributes.

    Raises:
        InvalidRequest: a setting is out of range or is not spelled as one.
        Conflict: it is to be compacted and has no partition key.
    """
    problems = []
    if not 1 <= event_type.effective_partitions <= MOST_PARTITIONS:
        problems.append(Problem(path="$.partitions", message=f"must be 1 to {MOST_PARTITIONS}"))
    if event_type.partition_key is not None:
        place, _, name = event_type.partition_key.partition(".")
        if event_type.partition_key != "source" and (place not in {"data", "identifier"} or not name):
            message = "must be source, data.<attribute> or identifier.<name>"
            problems.append(Problem(path="$.partition_key", message=message))
    if problems:
        raise InvalidRequest("The event type cannot be registered.", problems)
    if event_type.compacted and event_type.partition_key is None:
        raise Conflict("a compacted event type needs a partition key: compaction keeps the last event of each key")


def evolved(
    view: CatalogView, event_type: EventType, registrations: Sequence[Registration]
) -> tuple[EventType, list[RegisteredSchema]]:
    """The event type with the attributes and the schema that its registrations give it, and the schema if it is new.

    Raises:
        Conflict: one attribute has two types, or the partition key is not among the attributes.
        IncompatibleSchema: the new schema breaks the type's compatibility level.
    """
    # By age, not as the view lists them: every process must derive the same text.
    oldest_first = sorted(registrations, key=lambda each: (each.created_at, each.client, each.registration))
    lists = [event_type.declared, *(each.attributes for each in oldest_first)]
    # A type that declares nothing itself does not thereby make its registrations' attributes optional.
    attributes = () if event_type.open else union(each for each in lists if each)
    place, _, name = (event_type.partition_key or "").partition(".")
    if place == "data" and not event_type.open and name not in {each.name for each in attributes}:
        raise Conflict(f"the event type's partition key is attribute {name}, which it would not have")
    text = avro_schema.schema_text(
        workspace=event_type.workspace,
        namespace=event_type.namespace,
        code=event_type.code,
        attributes=attributes,
        open=event_type.open,
    )
    versions = view.subject_versions(event_type.subject)
    schema = view.next_schema(event_type.subject, text)
    is_new = schema not in versions
    _check_work(event_type, attributes, versions)
    # An earlier one is not thereby compatible with what came after it.
    if versions and schema != versions[-1] and schema.id != event_type.schema_id:
        compatibility.check(text, [each.text for each in versions], event_type.compatibility)
    changed = msgspec.structs.replace(event_type, attributes=attributes, schema_id=schema.id)
    return changed, [schema] if is_new else []


def _check_work(event_type: EventType, attributes: Sequence[Attribute], versions: Sequence[RegisteredSchema]) -> None:
    """Refuse to compare with so many versions that all other changes would wait for it."""
    if event_type.compatibility in compatibility.TRANSITIVE and len(attributes) * len(versions) > MOST_ATTRIBUTES:
        raise Conflict(
            f"the event type has {len(versions):,} versions with up to {len(attributes):,} attributes, and its level "
            f"{event_type.compatibility.value} compares a new one with each of them: too many. Choose a level that is "
            "not transitive, or register a new event type"
        )
