from __future__ import annotations

import msgspec
import pytest

from backbone.catalog.type_changes import evolved
from backbone.catalog.view import CatalogView
from schemas.model.errors import IncompatibleSchema
from schemas.model.event_type import Attribute, Compatibility, EventType

NEW = EventType(
    workspace="acme", namespace="events", code="Offer", effective_partitions=1, schema_id=0, created_at=0, updated_at=0
)


class World:
    """One event type that declares its attributes itself, and its schemas."""

    def __init__(self) -> None:
        self.view = CatalogView()
        self.type = NEW

    def declare(self, *types: str, **changed: object) -> EventType:
        """Give it the attributes a, b, … of these types."""
        declared = tuple(Attribute(name=name, type=each) for name, each in zip("abc", types, strict=False))
        wanted = msgspec.structs.replace(self.type, declared=declared, **changed)
        self.type, schemas = evolved(self.view, wanted, [])
        for schema in schemas:
            self.view.put_schema(schema)
        return self.type


def test_going_back_to_an_earlier_schema_registers_nothing() -> None:
    world = World()
    first = world.declare("String")
    assert world.declare("String", "Number").schema_id != first.schema_id
    assert world.declare("String").schema_id == first.schema_id
    assert len(world.view.subject_versions(NEW.subject)) == 2


def test_going_back_to_what_the_latest_schema_contradicts_is_refused() -> None:
    world = World()
    for types in (["String"], [], ["Number"]):
        world.declare(*types)
    with pytest.raises(IncompatibleSchema, match=r"\$\.data\.a changes from Number to String"):
        world.declare("String")
    assert world.declare("String", compatibility=Compatibility.NONE).schema_id == 1
    # What stays as it is, is not looked at again.
    assert world.declare("String", compatibility=Compatibility.FULL, name="Offers").schema_id == 1
