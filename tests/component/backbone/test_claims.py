"""One key, one record: workers that meet, workers that die between claim, record and answer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backbone.process.process_identity import this_process
from backbone.publishing import idempotency as idempotency_module
from backbone.publishing.idempotency import IdempotencyKey
from backbone.publishing.landed_events import event_id_of
from schemas.model.access import Client, Role
from schemas.model.errors import IdempotencyMismatch, InProgress, InvalidEvent, NotAcknowledged, QueueFull
from schemas.model.event import EventDraft
from schemas.model.event_type import Attribute
from schemas.model.topics import event_topic
from tests.support.records import records_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.model.event import Receipt
    from tests.component.backbone.conftest import Tenant, Worker, WorkerFactory

pytestmark = pytest.mark.usefixtures("client")


@pytest.fixture
async def client(tenant: Tenant) -> Client:
    """A producer that has registered ``Order``."""
    client = await tenant.client(Role.PRODUCER)
    attributes = (Attribute(name="orderId", type="String", required=True),)
    await tenant.event_types.register(client, tenant.workspace, "events", "Order", attributes=attributes, partitions=3)
    return client


def draft(tenant: Tenant, client: Client, **fields: str | None) -> EventDraft:
    return EventDraft(
        workspace=tenant.workspace,
        namespace="events",
        code="Order",
        client=client.id,
        publisher=client.unique_id,
        data=b'{"orderId":"o"}',
        **fields,  # type: ignore[arg-type]
    )


def key(client: Client, name: str = "k", body: bytes = b"body") -> IdempotencyKey:
    return IdempotencyKey(client.unique_id, name, body)


def an_ended_process() -> str:
    """The name of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    process.communicate()
    return "/".join([*this_process().split("/")[:-2], str(process.pid), started])


def ids_of(bootstrap: str, tenant: Tenant) -> list[bytes]:
    topic = event_topic(tenant.workspace, "events", "Order")
    return [event_id_of(message) for message in records_of(bootstrap, topic)]


async def die(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, publish: Callable[[], object], *, after_write: bool
) -> None:
    """Have a worker stop for good between claim and record, or between record and answer, as SIGKILL would."""

    async def never(*_: object, **__: object) -> Sequence[Receipt]:
        reached.set()
        return await asyncio.Event().wait()  # type: ignore[return-value]

    reached = asyncio.Event()
    monkeypatch.setattr(worker.idempotency._claims, "_owner", an_ended_process())
    if after_write:
        monkeypatch.setattr(worker.idempotency, "record", never)
    else:
        monkeypatch.setattr(worker.publisher._writes, "write", never)
    task = asyncio.ensure_future(publish())  # type: ignore[arg-type,var-annotated]
    await asyncio.wait_for(reached.wait(), 60)
    task.cancel()


@pytest.mark.parametrize("after_write", [False, True], ids=["claimed", "written"])
@pytest.mark.parametrize("own_ids", [False, True], ids=["key", "ids"])
async def test_a_repeat_on_another_worker_completes_what_a_killed_one_began(  # noqa: PLR0917 - fixtures
    worker: Worker,
    worker_factory: WorkerFactory,
    tenant: Tenant,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    kafka_bootstrap: str,
    *,
    after_write: bool,
    own_ids: bool,
) -> None:
    other = await worker_factory()
    drafts = [draft(tenant, client, producer_id=str(uuid.uuid4()) if own_ids else None) for _ in range(3)]
    idempotency_key = None if own_ids else key(client)
    await die(
        worker,
        monkeypatch,
        lambda: worker.publisher.publish(drafts, key=idempotency_key),
        after_write=after_write,
    )
    with pytest.raises(IdempotencyMismatch):
        await other.publisher.publish(
            [draft(tenant, client, subject="another", producer_id=drafts[0].producer_id)],
            key=None if own_ids else key(client, body=b"another"),
        )
    completed = await other.publisher.publish(drafts, key=idempotency_key)
    again = await other.publisher.publish(drafts, key=idempotency_key)
    assert [each.id for each in again] == [each.id for each in completed]
    assert all(each.repeated for each in again)
    written = await asyncio.to_thread(ids_of, kafka_bootstrap, tenant)
    assert sorted(written) == sorted(each.id.encode() for each in completed)


async def test_workers_that_claim_at_once_write_once(
    worker: Worker, worker_factory: WorkerFactory, tenant: Tenant, client: Client, kafka_bootstrap: str
) -> None:
    workers = [worker, await worker_factory(), await worker_factory()]
    names = [f"k{number}" for number in range(40)]
    answers = await asyncio.gather(
        *(each.publisher.publish([draft(tenant, client)], key=key(client, name)) for name in names for each in workers)
    )
    for at in range(0, len(answers), len(workers)):
        assert len({(receipt.id, receipt.offset) for (receipt,) in answers[at : at + len(workers)]}) == 1
        assert sum(not receipt.repeated for (receipt,) in answers[at : at + len(workers)]) == 1
    assert len(await asyncio.to_thread(ids_of, kafka_bootstrap, tenant)) == len(names)


async def test_a_repeat_waits_for_a_worker_that_lives_and_gets_its_answer(
    worker: Worker,
    worker_factory: WorkerFactory,
    tenant: Tenant,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = await worker_factory()
    go_on, reached, write = asyncio.Event(), asyncio.Event(), worker.publisher._writes.write

    async def later(*arguments: object, **named: object) -> list[Receipt]:
        reached.set()
        await go_on.wait()
        return await write(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(worker.publisher._writes, "write", later)
    first = asyncio.ensure_future(worker.publisher.publish([draft(tenant, client)], key=key(client)))
    await reached.wait()
    with monkeypatch.context() as context:
        context.setattr(idempotency_module, "_MOST_WAIT", 0.3)
        with pytest.raises(InProgress):
            await other.publisher.publish([draft(tenant, client)], key=key(client))
    second = asyncio.ensure_future(other.publisher.publish([draft(tenant, client)], key=key(client)))
    go_on.set()
    (one,), (two,) = await first, await second
    assert (one.id, one.offset, two.repeated) == (two.id, two.offset, True)


async def test_an_error_after_which_nothing_is_written_frees_the_key_and_any_other_does_not(
    worker: Worker,
    worker_factory: WorkerFactory,
    tenant: Tenant,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = await worker_factory()
    for error, name in ((QueueFull("full"), "free"), (NotAcknowledged("open"), "held")):

        async def fail(*_: object, raised: Exception = error, **__: object) -> list[Receipt]:
            raise raised

        with monkeypatch.context() as context:
            context.setattr(worker.publisher._writes, "write", fail)
            with pytest.raises(type(error)):
                await worker.publisher.publish([draft(tenant, client)], key=key(client, name))
    (receipt,) = await other.publisher.publish([draft(tenant, client)], key=key(client, "free"))
    assert not receipt.repeated
    monkeypatch.setattr(idempotency_module, "_MOST_WAIT", 0.3)
    with pytest.raises(InProgress):
        await other.publisher.publish([draft(tenant, client)], key=key(client, "held"))


async def test_a_repeat_is_answered_though_its_events_are_no_longer_valid(
    worker: Worker, worker_factory: WorkerFactory, tenant: Tenant, client: Client
) -> None:
    late = await worker_factory()
    await asyncio.to_thread(late.idempotency.stop)
    first = await worker.publisher.publish([draft(tenant, client)], key=key(client))
    more = (Attribute(name="orderId", type="String", required=True), Attribute(name="x", type="String", required=True))
    await tenant.event_types.update_registration(client.id, tenant.workspace, "events", "Order", attributes=more)
    other = await worker_factory()
    again = await other.publisher.publish([draft(tenant, client)], key=key(client))
    assert [each.offset for each in again] == [each.offset for each in first]
    with pytest.raises(InvalidEvent):
        await other.publisher.publish([draft(tenant, client)], key=key(client, "new"))
