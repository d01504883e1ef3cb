from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AdminClient

from backbone.catalog.accounts import Accounts
from backbone.catalog.event_types import EventTypes
from backbone.catalog.secrets import SecretBox
from schemas.model.errors import AlreadyExists, Conflict, IncompatibleSchema, InvalidRequest, NotFound
from schemas.model.event_type import Attribute, Compatibility, EventType, RegistrationKind
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from backbone.kafka.admin import Admin
    from schemas.model.access import Client
    from tests.component.catalog.conftest import Node, NodeFactory

TOTAL = Attribute(name="total", type="number", required=True)
CITY = Attribute(name="city", type="String")


@dataclass
class Place:
    """A workspace with two clients."""

    types: EventTypes
    node: Node
    admin: Admin
    workspace: str
    one: Client
    two: Client

    def topic(self, code: str) -> str:
        return event_topic(self.workspace, "events", code)

    def type(self, code: str) -> EventType:
        found = self.node.catalog.view.event_type(self.topic(code))
        assert found is not None
        return found


@pytest.fixture
async def place(node: Node, admin: Admin, unique: str) -> Place:
    accounts = Accounts(node.catalog, node.writer, SecretBox(["a-secret-key-of-tests"]))
    await accounts.create_workspace(unique)
    one, two = [await accounts.create_client(unique, name) for name in ("one", "two")]
    return Place(EventTypes(node.catalog, node.writer, admin), node, admin, unique, one, two)


async def test_a_registration_brings_type_topic_and_schema(place: Place) -> None:
    event_type, registration = await place.types.register(
        place.one, place.workspace, "events", "Offer", attributes=[TOTAL], partitions=3
    )
    assert registration is not None
    assert [each.type for each in registration.attributes] == ["Number"]
    assert event_type == place.type("Offer")
    assert await place.admin.partition_count(place.topic("Offer")) == 3
    schema = place.node.catalog.view.schema(event_type.schema_id)
    assert schema is not None
    assert (schema.subject, schema.version) == (f"{place.topic('Offer')}-value", 1)
    assert '"total"' in schema.text


async def test_the_same_again_changes_nothing(place: Place) -> None:
    said = {"attributes": [TOTAL], "partitions": 3, "partition_key": "data.total", "description": "an offer"}
    first = await place.types.register(place.one, place.workspace, "events", "Offer", **said)
    version = place.node.catalog.view.version
    assert await place.types.register(place.one, place.workspace, "events", "Offer", **said) == first
    assert await place.types.register(place.one, place.workspace, "events", "Offer") == first
    await place.node.catalog.caught_up()
    assert place.node.catalog.view.version == version


@pytest.mark.parametrize(
    "said", [{"attributes": [CITY]}, {"open": True}, {"partitions": 5}, {"partition_key": "source"}, {"version": 2}]
)
async def test_something_else_under_the_same_name_is_refused(place: Place, said: dict[str, object]) -> None:
    await place.types.register(place.one, place.workspace, "events", "Offer", attributes=[TOTAL], partitions=3)
    with pytest.raises(AlreadyExists):
        await place.types.register(place.one, place.workspace, "events", "Offer", **said)


async def test_the_type_has_the_union_of_its_registrations(place: Place) -> None:
    await place.types.register(place.one, place.workspace, "events", "Offer", attributes=[TOTAL])
    event_type, _ = await place.types.register(place.two, place.workspace, "events", "Offer", attributes=[CITY])
    assert [each.name for each in event_type.attributes] == ["total", "city"]
    versions = place.node.catalog.view.subject_versions(event_type.subject)
    assert [each.version for each in versions] == [1, 2]
    assert event_type.schema_id == versions[-1].id

    clash = Attribute(name="total", type="String")
    with pytest.raises(Conflict, match="total"):
        await place.types.register(
            place.two, place.workspace, "events", "Offer", attributes=[clash], kind=RegistrationKind.SUBSCRIBE
        )
    await place.types.delete_registration(place.one.id, place.workspace, "events", "Offer")
    assert [each.name for each in place.type("Offer").attributes] == ["city"]
    assert await place.admin.partition_count(place.topic("Offer")) > 0
    with pytest.raises(NotFound):
        await place.types.delete_registration(place.one.id, place.workspace, "events", "Offer")


async def test_a_declared_type_keeps_its_own_attributes(place: Place) -> None:
    declared, nobody = await place.types.register(None, place.workspace, "events", "Offer", attributes=[TOTAL])
    assert nobody is None
    _, registration = await place.types.register(place.one, place.workspace, "events", "Offer")
    assert registration is not None
    assert registration.attributes == declared.attributes
    await place.types.delete_registration(place.one.id, place.workspace, "events", "Offer")
    assert place.type("Offer").attributes == declared.attributes
    with pytest.raises(AlreadyExists):
        await place.types.register(None, place.workspace, "events", "Offer", attributes=[CITY])


async def test_an_open_type_has_no_attributes(place: Place) -> None:
    event_type, _ = await place.types.register(place.one, place.workspace, "events", "Anything", open=True)
    assert event_type.open
    assert event_type.attributes == ()
    with pytest.raises(Conflict):
        await place.types.register(place.two, place.workspace, "events", "Anything", attributes=[CITY])
    with pytest.raises(Conflict):
        await place.types.register(place.one, place.workspace, "events", "Else", open=True, attributes=[CITY])
    assert await place.admin.topics(place.topic("Else")) == {}


async def test_a_change_that_breaks_the_compatibility_level_is_refused(place: Place) -> None:
    await place.types.register(
        None, place.workspace, "events", "Offer", attributes=[TOTAL], compatibility=Compatibility.BACKWARD
    )
    text = Attribute(name="total", type="String")
    with pytest.raises(IncompatibleSchema) as raised:
        await place.types.update(place.workspace, "events", "Offer", attributes=[text])
    assert "total" in str(raised.value.problems)
    assert [each.type for each in place.type("Offer").attributes] == ["Number"]
    changed = await place.types.update(
        place.workspace, "events", "Offer", attributes=[text], compatibility=Compatibility.NONE
    )
    assert [each.type for each in changed.attributes] == ["String"]


async def test_a_registration_is_updated(place: Place) -> None:
    await place.types.register(place.one, place.workspace, "events", "Offer", attributes=[TOTAL])
    event_type, registration = await place.types.update_registration(
        place.one.id, place.workspace, "events", "Offer", attributes=[TOTAL, CITY]
    )
    assert registration is not None
    assert registration.attributes == event_type.attributes
    assert len(event_type.attributes) == 2


async def test_a_type_grows(place: Place) -> None:
    await place.types.register(place.one, place.workspace, "events", "Offer", open=True, partitions=1)
    assert (await place.types.update(place.workspace, "events", "Offer", partitions=3)).effective_partitions == 3
    assert await place.admin.partition_count(place.topic("Offer")) == 3
    with pytest.raises(Conflict):
        await place.types.update(place.workspace, "events", "Offer", partitions=2)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"partitions": 0}, InvalidRequest),
        ({"partition_key": "total"}, InvalidRequest),
        ({"partition_key": "data.city", "attributes": [TOTAL]}, Conflict),
        ({"compacted": True}, Conflict),
        ({"attributes": [Attribute(name="x", type="Text")]}, InvalidRequest),
    ],
)
async def test_settings_that_cannot_be_are_refused_before_there_is_a_topic(
    place: Place, said: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await place.types.register(place.one, place.workspace, "events", "Offer", **said)
    assert await place.admin.topics(place.topic("Offer")) == {}


async def test_the_partition_key_cannot_be_lost(place: Place) -> None:
    await place.types.register(
        place.one, place.workspace, "events", "Offer", attributes=[TOTAL], partition_key="data.total"
    )
    with pytest.raises(Conflict, match="partition key"):
        await place.types.delete_registration(place.one.id, place.workspace, "events", "Offer")


async def test_a_deleted_type_comes_back_with_its_schema(place: Place) -> None:
    first, _ = await place.types.register(place.one, place.workspace, "events", "Offer", attributes=[TOTAL])
    await place.types.delete(place.workspace, "events", "Offer")
    assert place.node.catalog.view.event_type(first.topic) is None
    assert place.node.catalog.view.registrations_of(place.workspace, place.one.id) == ()
    again, _ = await place.types.register(place.one, place.workspace, "events", "Offer", attributes=[TOTAL])
    assert again.schema_id == first.schema_id


@pytest.mark.parametrize("compacted", [True, False])
async def test_a_deleted_types_topic_is_not_taken_for_one_that_is_kept_otherwise(
    place: Place, *, compacted: bool
) -> None:
    """A topic that is compacted would refuse events without a key, and lose those that have one."""

    async def register(*, compacted: bool) -> None:
        await place.types.register(
            None, place.workspace, "events", "Offer", open=True, partition_key="source", compacted=compacted
        )

    await register(compacted=compacted)
    await place.types.delete(place.workspace, "events", "Offer")
    topic = place.topic("Offer")
    with pytest.raises(Conflict, match=f"{'is' if compacted else 'not'} compacted.* delete the topic {topic} in Kafka"):
        await register(compacted=not compacted)
    assert place.node.catalog.view.event_type(topic) is None
    await register(compacted=compacted)
    await place.types.delete(place.workspace, "events", "Offer")
    await _delete_topic(place.admin, topic)
    await register(compacted=not compacted)


async def _delete_topic(admin: Admin, topic: str) -> None:
    """As an operator does by hand; a broker lists it for a moment more."""
    client = AdminClient(admin.settings.client_config())
    (deleted,) = client.delete_topics([topic]).values()
    await asyncio.to_thread(deleted.result, 60)
    while topic in await admin.topics():
        pass


async def test_registering_at_once_on_two_nodes_gives_each_schema_one_id(
    place: Place, node_factory: NodeFactory
) -> None:
    other = await node_factory()
    both = [place.types, EventTypes(other.catalog, other.writer, place.admin)]
    await asyncio.gather(
        *(
            both[number % 2].register(place.one, place.workspace, "events", f"Code{number}", open=True, partitions=1)
            for number in range(6)
        )
    )
    await place.node.catalog.caught_up()
    found = place.node.catalog.view.event_types(place.workspace)
    assert len({each.schema_id for each in found}) == len(found) == 6
    for each in found:
        schema = place.node.catalog.view.schema(each.schema_id)
        assert schema is not None
        assert schema.subject == each.subject
