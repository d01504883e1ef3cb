"""Contracts of one event against a real receiver and a real Kafka: in groups, once each, and in nobody's way."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiohttp import web

import connectors.webhook.ordered.deliveries
from backbone.kafka.records import Record
from schemas.model import topics
from schemas.model.delivery import Delivery, Outcome, event_headers, read_delivery
from tests.component.connectors.post_office import read_by_connector, until
from tests.component.connectors.webhook.ordered.contracts import Contracts

if TYPE_CHECKING:
    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.receiver import Receiver


@pytest.fixture
def contracts(office: PostOffice, receiver: Receiver) -> Contracts:
    return Contracts(office, receiver)


@pytest.mark.usefixtures("connector")
async def test_each_contract_has_one_try_and_a_failed_one_stops_nothing(contracts: Contracts) -> None:
    bad, good = await contracts.add(), await contracts.add()
    bad.answers = [503]
    bad.headers = {"Retry-After": "3600"}

    grouped = await contracts.deliver(1, 2)

    await until(lambda: len(contracts.attempts()) == 2, "both were tried")
    failed, delivered = contracts.attempts()
    assert (failed.outcome, failed.status, failed.number) == (Outcome.DEAD, 503, 1)
    assert (delivered.outcome, delivered.status, delivered.number) == (Outcome.DELIVERED, 204, 1)
    assert [failed.delivery, delivered.delivery] == [each.id for each in grouped.deliveries()]
    assert (len(bad.received), len(good.received)) == (1, 1)
    assert bad.received[0].id == failed.delivery
    # It says nothing about the endpoint, as far as the event's other contracts and other events are concerned.
    assert contracts.office.endpoint_state(contracts.endpoints[0]) is None


@pytest.mark.usefixtures("connector")
async def test_a_failed_contract_can_be_redriven_like_any_delivery(contracts: Contracts) -> None:
    mailbox = await contracts.add()
    mailbox.answers = [500, 200]
    grouped = await contracts.deliver(1)
    (endpoint,), office = contracts.endpoints, contracts.office
    await until(lambda: bool(office.dead_letters(endpoint.id)), "it is set aside")

    ((headers, value),) = office.dead_letters(endpoint.id)
    delivery = Delivery.from_headers(list(headers.items()))
    assert delivery == msgspec.structs.replace(grouped.deliveries()[0], attempts=1)
    assert headers["hr_dead_status"] == b"500"
    again = msgspec.structs.replace(delivery, run="redriven")
    redriven = event_headers(list(headers.items())) + again.to_headers()
    await office.producer.send([Record(topics.WEBHOOK_DELIVERIES, value, again.record_key, redriven)])

    await until(lambda: len(contracts.attempts()) == 2, "it was tried again")
    assert [each.outcome for each in contracts.attempts()] == [Outcome.DEAD, Outcome.DELIVERED]
    assert mailbox.received[0].body == mailbox.received[1].body


@pytest.mark.usefixtures("connector")
async def test_groups_that_take_long_are_handed_on_in_records_of_their_own(
    contracts: Contracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connectors.webhook.ordered.deliveries, "_HOLD", 0.0)
    for _ in range(3):
        await contracts.add()

    grouped = await contracts.deliver(1, 2, 3)

    await until(lambda: len(contracts.attempts()) == 3, "all were tried")
    assert [len(mailbox.received) for mailbox in contracts.mailboxes] == [1, 1, 1]
    started = [mailbox.received[0].at for mailbox in contracts.mailboxes]
    assert started == sorted(started)
    records = [
        read_delivery(message.headers())
        for message in contracts.office._read(topics.WEBHOOK_DELIVERIES)
        if message.key() == grouped.record_key
    ]
    assert records == [msgspec.structs.replace(grouped, contracts=grouped.contracts[at:]) for at in (0, 1, 2)]


@pytest.mark.usefixtures("connector")
async def test_a_contract_that_hangs_holds_up_no_others(contracts: Contracts, receiver: Receiver) -> None:
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def hang(_request: web.Request, _number: int) -> web.Response:
        if not released.is_set():  # late retries come when the test's event loop is closed
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(released.wait(), loop))
        return web.Response()

    slow = await contracts.add(timeout=300)
    slow.answering = hang
    healthy = receiver.mailbox(f"healthy-{uuid.uuid4()}")
    office, endpoint = contracts.office, await contracts.office.endpoint(healthy.url)
    hanging = [contracts.record(1) for _ in range(80)]
    await office.producer.send([record for _, record in hanging])
    keys = {grouped.record_key for grouped, _ in hanging}

    def waiting() -> int:
        return sum(message.key() in keys for message in office._read(topics.RETRY_TIERS[5]))

    await until(lambda: bool(slow.received), "the first hangs")
    delivered = await office.deliver(endpoint, 200)
    await until(lambda: len(healthy.received) == len(delivered), "the others arrived")
    await until(lambda: waiting() > 0, "what does not fit is put off")
    assert contracts.attempts() == []

    released.set()
    await until(lambda: len({each.delivery for each in contracts.attempts()}) == 80, "all were tried")
    assert {each.outcome for each in contracts.attempts()} == {Outcome.DELIVERED}
    assert len(slow.received) == 80


@pytest.mark.usefixtures("connector")
async def test_a_contract_whose_endpoint_is_gone_is_cancelled(contracts: Contracts, receiver: Receiver) -> None:
    await contracts.add()
    good = await contracts.add()
    await contracts.office.delete(contracts.endpoints[0])
    await read_by_connector(contracts.office, receiver)
    await contracts.deliver(1, 2)

    await until(lambda: len(contracts.attempts()) == 2, "both came to an end")
    cancelled, delivered = contracts.attempts()
    assert (cancelled.outcome, cancelled.error) == (Outcome.CANCELLED, "the endpoint was deleted")
    assert (delivered.outcome, len(good.received)) == (Outcome.DELIVERED, 1)


@pytest.mark.usefixtures("connector")
async def test_an_event_that_cannot_be_read_is_set_aside_once(contracts: Contracts) -> None:
    await contracts.add()
    await contracts.add()
    grouped, record = contracts.record(1, 1)
    await contracts.office.producer.send([msgspec.structs.replace(record, value=b"?")])

    def set_aside() -> list[dict[str, bytes]]:
        letters = [dict(message.headers() or ()) for message in contracts.office._read(topics.DEAD_LETTERS)]
        return [each for each in letters if each.get("hr_event") == grouped.event.encode()]

    await until(lambda: bool(set_aside()), "it is set aside")
    assert [each["hr_dead_kind"] for each in set_aside()] == [b"poison"]
    assert contracts.attempts() == []
