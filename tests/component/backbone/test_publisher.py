from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
import pytest

from backbone.catalog.indexes import RegisteredSchema
from backbone.catalog.records import schema_record
from backbone.kafka.producer import MAX_RECORD_BYTES
from backbone.kafka.records import Message, partition_for
from backbone.publishing.idempotency import IdempotencyKey
from backbone.publishing.known_answers import Answer
from backbone.publishing.publisher import Publisher
from backbone.slices import Slices
from families.headrace.http.cloudevents import Translator
from schemas.avro.codec import EventDecoder
from schemas.model.access import Client, Role
from schemas.model.errors import IdempotencyMismatch, InvalidEvent, PayloadTooLarge, PermissionDenied
from schemas.model.event import EventDraft, Identifier, Receipt
from schemas.model.event_type import Attribute
from schemas.model.ids import keyed_event_id
from tests.support.records import records_of

if TYPE_CHECKING:
    from tests.component.backbone.conftest import Tenant, Worker, WorkerFactory

ATTRIBUTES = (
    Attribute(name="orderId", type="String", required=True),
    Attribute(name="orderTotal", type="Number"),
)


def draft(tenant: Tenant, client: Client, number: int = 1, **changes: object) -> EventDraft:
    order = EventDraft(
        workspace=tenant.workspace,
        namespace="events",
        code="Order",
        client=client.id,
        publisher=client.unique_id,
        data=msgspec.json.encode({"orderId": f"o-{number}", "orderTotal": number}),
    )
    return msgspec.structs.replace(order, **changes)


def key(client: Client, name: str, body: bytes = b"body") -> IdempotencyKey:
    return IdempotencyKey(client.unique_id, name, hashlib.sha256(body).digest())


def places(receipts: Sequence[Receipt]) -> list[tuple[str, int, int]]:
    return [(receipt.id, receipt.partition, receipt.offset) for receipt in receipts]


def headers_of(message: Message) -> dict[str, bytes]:
    return dict(message.headers() or [])  # type: ignore[arg-type]


@pytest.fixture
async def client(tenant: Tenant) -> Client:
    """A producer that has registered ``Order``."""
    client = await tenant.client(Role.PRODUCER)
    await tenant.event_types.register(client, tenant.workspace, "events", "Order", attributes=ATTRIBUTES)
    return client


IDENTITY = ("event_id", "clientid", "dataschema", "datacontenttype", "extensions")
"""Fields that the envelope of earlier releases did not have."""

Written = Callable[[str], Awaitable[list[Message]]]


@pytest.fixture
def written(kafka_bootstrap: str, tenant: Tenant) -> Written:
    """What is in the topic of an event type."""

    async def read(code: str) -> list[Message]:
        return await asyncio.to_thread(records_of, kafka_bootstrap, f"events.{tenant.workspace}.events.{code}")

    return read


async def test_receipts_say_where_each_event_is(
    worker: Worker, tenant: Tenant, client: Client, written: Written
) -> None:
    receipts = await worker.publisher.publish([draft(tenant, client, number) for number in range(300)])
    found = {(each.partition(), each.offset()): each for each in await written("Order")}
    event_type = worker.catalog.view.event_type(receipts[0].topic)
    assert event_type is not None
    schema = worker.catalog.view.schema(event_type.schema_id)
    assert schema is not None
    decoder = EventDecoder(schema.text)

    assert len(found) == len({receipt.id for receipt in receipts}) == 300
    for number, receipt in enumerate(receipts):
        event = decoder.decode(found[receipt.partition, receipt.offset].value() or b"")
        assert (event.id, event.source, event.received_at) == (receipt.id, client.id, receipt.received_at)
        assert event.data["orderId"] == f"o-{number}"


async def test_an_event_has_the_headers_of_the_cloudevents_binding(
    worker: Worker, tenant: Tenant, client: Client, written: Written
) -> None:
    sent = draft(
        tenant,
        client,
        subject="örder",
        time=1_614_875_814_591_000,
        producer_id="theirs",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        request=b'{"method":"POST"}',
    )
    (receipt,) = await worker.publisher.publish([sent])
    (message,) = await written("Order")
    assert headers_of(message) == {
        "ce_specversion": b"1.0",
        "ce_id": b"theirs",
        "ce_clientid": client.id.encode(),
        "hr_event": receipt.id.encode(),
        "ce_source": client.id.encode(),
        "ce_type": b"Order",
        "ce_time": b"2021-03-04T16:36:54.591Z",
        "ce_subject": "örder".encode(),
        "content-type": b"application/avro",
        "traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "hr_request": b'{"method":"POST"}',
    }


async def test_what_is_too_long_for_a_trace_context_is_none(
    worker: Worker, tenant: Tenant, client: Client, written: Written
) -> None:
    # A record full of it could be published, and its deliveries, which have headers of their own, could not.
    await worker.publisher.publish([draft(tenant, client, traceparent="0" * 1_500_000)])
    (message,) = await written("Order")
    assert "traceparent" not in headers_of(message)


async def test_events_of_one_key_are_in_one_partition_and_in_order(
    worker: Worker, tenant: Tenant, client: Client, written: Written
) -> None:
    await tenant.event_types.register(
        client, tenant.workspace, "events", "Keyed", attributes=ATTRIBUTES, partition_key="data.orderId", partitions=5
    )
    drafts = [draft(tenant, client, number % 7, code="Keyed", subject=str(number)) for number in range(70)]
    receipts = await worker.publisher.publish(drafts)
    for number, receipt in enumerate(receipts):
        assert receipt.partition == partition_for(f"o-{number % 7}".encode(), 5)
    messages = await written("Keyed")
    for name in range(7):
        of_key = [int(headers_of(each)["ce_subject"]) for each in messages if each.key() == f"o-{name}".encode()]
        assert of_key == list(range(name, 70, 7))


async def test_one_bad_event_refuses_its_batch_and_every_bad_one_is_named(
    worker: Worker, tenant: Tenant, client: Client, written: Written
) -> None:
    drafts = [
        draft(tenant, client),
        draft(tenant, client, data=b'{"orderId":"1","nonsense":1}'),
        draft(tenant, client, code="Nothing"),
        draft(tenant, client, data=b'{"orderId":"1","orderTotal":"much"}'),
    ]
    with pytest.raises(InvalidEvent) as caught:
        await worker.publisher.publish(drafts)
    paths = [problem.path for problem in caught.value.problems]
    assert paths == ["$[1].data.nonsense", "$[2].type", "$[3].data.orderTotal"]
    assert await written("Order") == []


async def test_the_path_of_a_single_event_has_no_index(worker: Worker, tenant: Tenant, client: Client) -> None:
    with pytest.raises(InvalidEvent) as caught:
        await worker.publisher.publish([draft(tenant, client, data=b"{}")])
    assert [problem.path for problem in caught.value.problems] == ["$.data.orderId"]


async def test_an_event_too_large_for_a_record_is_refused_by_name(
    worker: Worker, tenant: Tenant, client: Client
) -> None:
    large = msgspec.json.encode({"orderId": "x" * MAX_RECORD_BYTES})
    with pytest.raises(PayloadTooLarge) as caught:
        await worker.publisher.publish([draft(tenant, client), draft(tenant, client, data=large)])
    assert [problem.path for problem in caught.value.problems] == ["$[1]"]
    with pytest.raises(PayloadTooLarge):
        await worker.publisher.publish([draft(tenant, client, request=b"x" * MAX_RECORD_BYTES)])


async def test_the_largest_event_is_taken(worker: Worker, tenant: Tenant, client: Client) -> None:
    data = msgspec.json.encode({"orderId": "x" * (MAX_RECORD_BYTES - 200)})
    (receipt,) = await worker.publisher.publish([draft(tenant, client, data=data, request=b"x" * 500_000)])
    assert receipt.offset == 0


async def test_a_client_publishes_what_it_registered_and_an_operator_publishes_all(
    worker: Worker, tenant: Tenant, client: Client
) -> None:
    assert client
    stranger, operator = await tenant.client(Role.PRODUCER), await tenant.client(Role.OPERATOR)
    with pytest.raises(PermissionDenied, match="events/Order"):
        await worker.publisher.publish([draft(tenant, stranger)])
    (receipt,) = await worker.publisher.publish([draft(tenant, operator)])
    assert receipt.offset >= 0


async def test_a_type_that_another_worker_registered_is_known_at_once(
    worker_factory: WorkerFactory, tenant: Tenant, client: Client
) -> None:
    other = await worker_factory()
    for number in range(5):
        code = f"Late{number}"
        await tenant.event_types.register(client, tenant.workspace, "events", code, attributes=ATTRIBUTES)
        (receipt,) = await other.publisher.publish([draft(tenant, client, code=code)])
        assert receipt.offset == 0


async def test_a_new_attribute_may_be_sent_once_it_is_registered(
    worker: Worker, tenant: Tenant, client: Client
) -> None:
    sent = draft(tenant, client, data=b'{"orderId":"1","currency":"EUR"}')
    with pytest.raises(InvalidEvent):
        await worker.publisher.publish([sent])
    more = (*ATTRIBUTES, Attribute(name="currency", type="String"))
    await tenant.event_types.update_registration(client.id, tenant.workspace, "events", "Order", attributes=more)
    await worker.publisher.publish([sent])


async def test_a_repeat_gets_the_first_answer_on_every_worker(
    worker: Worker, worker_factory: WorkerFactory, tenant: Tenant, client: Client, written: Written
) -> None:
    other = await worker_factory()
    drafts = [draft(tenant, client, number) for number in range(3)]
    first = await worker.publisher.publish(drafts, key=key(client, "k"))
    assert not any(receipt.repeated for receipt in first)
    for publisher in (worker.publisher, other.publisher):
        again = await publisher.publish(drafts, key=key(client, "k"))
        assert again == [msgspec.structs.replace(receipt, repeated=True) for receipt in first]
    assert len(await written("Order")) == 3


async def test_a_key_is_the_clients_own(worker: Worker, tenant: Tenant, client: Client) -> None:
    operator = await tenant.client(Role.OPERATOR)
    (one,) = await worker.publisher.publish([draft(tenant, client)], key=key(client, "k"))
    (other,) = await worker.publisher.publish([draft(tenant, operator)], key=key(operator, "k"))
    assert not other.repeated
    assert one.id != other.id


async def test_a_key_with_another_body_is_refused(worker: Worker, tenant: Tenant, client: Client) -> None:
    await worker.publisher.publish([draft(tenant, client)], key=key(client, "k"))
    with pytest.raises(IdempotencyMismatch):
        await worker.publisher.publish([draft(tenant, client, 2)], key=key(client, "k", b"another"))


async def test_repeats_at_the_same_moment_write_once(
    worker: Worker, tenant: Tenant, client: Client, written: Written
) -> None:
    answers = await asyncio.gather(
        *(worker.publisher.publish([draft(tenant, client)], key=key(client, "k")) for _ in range(20))
    )
    assert len({place for answer in answers for place in places(answer)}) == 1
    assert sum(not answer[0].repeated for answer in answers) == 1
    assert len(await written("Order")) == 1


async def test_a_refused_request_leaves_its_key_free(worker: Worker, tenant: Tenant, client: Client) -> None:
    with pytest.raises(InvalidEvent):
        await worker.publisher.publish([draft(tenant, client, data=b"{}")], key=key(client, "k"))
    (receipt,) = await worker.publisher.publish([draft(tenant, client)], key=key(client, "k"))
    assert not receipt.repeated


async def test_the_producers_own_event_ids_are_keys(
    worker: Worker, worker_factory: WorkerFactory, tenant: Tenant, client: Client, written: Written
) -> None:
    other = await worker_factory()
    one, two, three = (draft(tenant, client, number, producer_id=str(number)) for number in (1, 2, 3))
    plain = draft(tenant, client, 4)
    first = await worker.publisher.publish([one, plain, two, one])
    assert [receipt.repeated for receipt in first] == [False, False, False, True]
    assert places(first)[0] == places(first)[3]

    second = await other.publisher.publish([two, plain, three])
    assert [receipt.repeated for receipt in second] == [True, False, False]
    assert places(second)[0] == places(first)[2]
    assert len(await written("Order")) == 5

    changed = draft(tenant, client, 9, producer_id="2")
    with pytest.raises(IdempotencyMismatch):
        await worker.publisher.publish([changed])
    with pytest.raises(IdempotencyMismatch, match="id 7"):
        await worker.publisher.publish([draft(tenant, client, each, producer_id="7") for each in (1, 2)])


async def test_a_cloudevent_is_identified_by_its_source_and_id(
    worker: Worker, tenant: Tenant, client: Client, written: Written
) -> None:
    def sensor(number: int, source: str) -> EventDraft:
        return draft(tenant, client, number, producer_id="8", source=source)

    first = await worker.publisher.publish([sensor(1, "/1"), sensor(2, "/2")])
    assert [receipt.repeated for receipt in first] == [False, False]
    assert len({receipt.id for receipt in first}) == 2
    assert places(await worker.publisher.publish([sensor(2, "/2")])) == places(first)[1:]
    assert len(await written("Order")) == 2

    with pytest.raises(IdempotencyMismatch) as refused:
        await worker.publisher.publish([sensor(3, "/3"), sensor(9, "/2"), sensor(9, "/1")])
    assert [problem.path for problem in refused.value.problems] == ["$[1].id", "$[2].id"]
    assert "source /2, id 8" in str(refused.value)
    with pytest.raises(IdempotencyMismatch) as twice:
        await worker.publisher.publish([sensor(3, "/3"), sensor(4, "/4"), sensor(5, "/3")])
    assert [problem.path for problem in twice.value.problems] == ["$[2].id"]
    assert len(await written("Order")) == 2


async def test_a_repeat_across_the_upgrade_gets_the_earlier_answer(
    worker: Worker, tenant: Tenant, client: Client, written: Written
) -> None:
    """Earlier releases keyed a CloudEvent by its id alone and hashed its source as an identifier."""
    data = b'{"orderId":"o-1"}'
    content = (tenant.workspace, "events", "Order", data, None, None, None, None, None, (Identifier("source", "/1"),))
    digest = hashlib.blake2b(msgspec.msgpack.encode(content), digest_size=16).digest()
    earlier = IdempotencyKey(client.unique_id, "\0008", digest)
    place = Answer(digest, ("events.somewhere",), ((0, 3, 12),), 1_700_000_000_000_000)
    await worker.idempotency.record([earlier], [place])

    def post(**attributes: str) -> EventDraft:
        event = {"specversion": "1.0", "type": "Order", "id": "8", "source": "/1", **attributes}
        body = msgspec.json.encode(event)[:-1] + b',"data":' + data + b"}"
        return Translator(tenant.workspace, client, lambda name: ("events", name), Slices()).structured(body)

    (repeat,) = await worker.publisher.publish([post()])
    assert repeat.repeated
    assert (repeat.id, repeat.partition, repeat.offset) == (keyed_event_id(client.unique_id, "\0008", 0), 3, 12)
    (other,) = await worker.publisher.publish([post(source="/2")])
    assert not other.repeated
    assert len(await written("Order")) == 1


async def test_a_type_of_an_earlier_release_gets_its_new_schema_at_the_first_publish(
    worker: Worker, worker_factory: WorkerFactory, tenant: Tenant, client: Client, written: Written
) -> None:
    topic = f"events.{tenant.workspace}.events.Order"
    event_type = worker.catalog.view.event_type(topic)
    assert event_type is not None
    schema = worker.catalog.view.schema(event_type.schema_id)
    assert schema is not None
    fields = json.loads(schema.text)
    fields["fields"] = [each for each in fields["fields"] if each["name"] not in IDENTITY]
    older = RegisteredSchema(schema.id, schema.subject, schema.version, json.dumps(fields, separators=(",", ":")))
    await worker.producer.send([schema_record(older, "")])
    without = await worker_factory()
    await without.catalog.caught_up()
    publishers = Publisher(without.catalog, without.producer, without.idempotency, renew=tenant.event_types.renew)

    # Who cannot change the catalog writes on as that release did.
    (before,) = await without.publisher.publish([draft(tenant, client, 1)])
    (renewed,) = await publishers.publish([draft(tenant, client, 2, producer_id="8", source="/1")])
    await publishers.publish([draft(tenant, client, 3)])

    in_order = sorted(await written("Order"), key=lambda each: each.timestamp()[1])
    values = [message.value() or b"" for message in in_order]
    ids = [int.from_bytes(value[1:5], "big") for value in values]
    assert ids[0] == schema.id
    assert ids[1] == ids[2] != schema.id
    view = without.catalog.view
    assert [each.version for each in view.subject_versions(f"{topic}-value")] == [1, 2]
    texts = [view.schema(each) for each in ids]
    first, second, _ = (
        EventDecoder(each.text).decode(value) for each, value in zip(texts, values, strict=True) if each is not None
    )
    assert (first.event_id, first.id, first.source, first.clientid) == (before.id, before.id, client.id, client.id)
    assert (second.event_id, second.id, second.source, second.clientid) == (renewed.id, "8", "/1", client.id)


async def test_a_caller_that_gave_up_still_has_its_key_remembered(
    worker: Worker, tenant: Tenant, client: Client, written: Written
) -> None:
    task = asyncio.ensure_future(worker.publisher.publish([draft(tenant, client)], key=key(client, "k")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (receipt,) = await worker.publisher.publish([draft(tenant, client)], key=key(client, "k"))
    assert receipt.repeated
    assert len(await written("Order")) == 1


class EachStep(Slices):
    """Slices of one step each, counted."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.turns = 0

    async def turn(self) -> None:
        self.turns += 1
        await super().turn()


@pytest.mark.parametrize(("keyed", "steps"), [("no key", 1), ("one key", 2), ("an id each", 11)])
async def test_each_step_of_a_batch_lets_others_have_their_turn(
    worker: Worker, tenant: Tenant, keyed: str, steps: int
) -> None:
    """Ids, keys, claims, records, answers: whichever is done for all events at once holds up everybody.

    Receipts take a microsecond each, and are made fifty at once.
    """
    client = await tenant.client(Role.PRODUCER)
    await tenant.event_types.register(client, tenant.workspace, "events", "Order", attributes=ATTRIBUTES)
    slices = EachStep()
    worker.idempotency._slices = worker.idempotency._claims._slices = slices
    publisher = Publisher(worker.catalog, worker.producer, worker.idempotency, slices=slices)
    ids = (f"id-{number}" if keyed == "an id each" else None for number in range(200))
    drafts = [draft(tenant, client, number, producer_id=each) for number, each in enumerate(ids)]
    receipts = await publisher.publish(drafts, key=key(client, "k") if keyed == "one key" else None)
    assert len(receipts) == 200
    # The first event has no turn to wait for.
    assert slices.turns >= steps * 199 + 200 // 50 - 1


@pytest.mark.usefixtures("client")  # has registered the type
async def test_namesakes_and_a_client_that_is_made_again_do_not_meet_a_clients_keys(
    worker: Worker, tenant: Tenant, written: Written
) -> None:
    accounts, other = tenant.accounts, f"{tenant.workspace}-other"
    client = await tenant.client(Role.OPERATOR)
    await accounts.create_workspace(other)
    namesake = await accounts.create_client(other, "namesake", roles=[Role.OPERATOR], id=client.id)
    await tenant.event_types.register(None, other, "events", "Order", attributes=ATTRIBUTES)

    async def publish(by: Client) -> list[tuple[str, bool]]:
        where = {"workspace": by.workspace}
        keyed = await worker.publisher.publish([draft(tenant, by, **where)], key=key(by, "k"))
        own_id = await worker.publisher.publish([draft(tenant, by, producer_id="1", **where)])
        event = await worker.publisher.publish([draft(tenant, by, producer_id="1", source="/s", **where)])
        return [(each.id, each.repeated) for each in (*keyed, *own_id, *event)]

    first, repeat, theirs = await publish(client), await publish(client), await publish(namesake)
    await accounts.delete_client(tenant.workspace, client.id)
    again = await accounts.create_client(tenant.workspace, "again", roles=[Role.OPERATOR], id=client.id)
    fresh = await publish(again)

    assert [each for each, _ in first] == [each for each, _ in repeat]
    assert [repeated for _, repeated in repeat] == [True] * 3
    assert not any(repeated for _, repeated in (*first, *theirs, *fresh))
    assert len({each for each, _ in (*first, *theirs, *fresh)}) == 9
    assert len(await written("Order")) == 6
