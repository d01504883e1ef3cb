"""The webhook connector against a real receiver and a real Kafka."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from backbone.kafka.consumer import BatchConsumer
from backbone.kafka.producer import Producer
from backbone.kafka.records import Record
from backbone.kafka.transaction import TransactionalProducer
from connectors.webhook import endpoint_queue as lanes
from connectors.webhook.authorization import Authorizer
from connectors.webhook.endpoint_states import EndpointStates
from connectors.webhook.main import GROUP
from connectors.webhook.outcomes import Outcomes
from schemas.model import timestamps, topics
from schemas.model.delivery import Delivery, Outcome
from tests.component.connectors.post_office import read_by_connector, until

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from connectors.webhook.outcomes import Job
    from connectors.webhook.rendering import Request
    from connectors.webhook.transport import Response
    from schemas.model.endpoint import Endpoint
    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.receiver import Mailbox, Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

pytestmark = pytest.mark.usefixtures("connector")


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def mailbox(receiver: Receiver, name: str) -> Mailbox:
    return receiver.mailbox(name)


@pytest.fixture
def url(receiver: Receiver, name: str) -> str:
    return receiver.url(name)


async def outcomes(office: PostOffice, endpoint: Endpoint, count: int) -> list[Outcome]:
    await until(lambda: len(office.attempts(endpoint)) >= count, f"{count} attempts")
    return [attempt.outcome for attempt in office.attempts(endpoint)]


async def test_a_delivery_arrives_signed_as_the_cloudevent_that_was_sent(
    office: PostOffice, mailbox: Mailbox, url: str
) -> None:
    framing = {"webhook-id": "forged", "Content-Type": "text/plain", "Expect": "100-continue"}
    endpoint = await office.endpoint(url, SECRET, OLD_SECRET, headers={"X-Api-Key": "k", **framing})
    (delivery,) = await office.deliver(endpoint)
    await until(lambda: bool(mailbox.received), "received")
    (received,) = mailbox.received
    for secret in (SECRET, OLD_SECRET):
        Webhook(secret).verify(received.body, received.headers)
    assert received.id == delivery.id
    assert received.method == "POST"
    assert received.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert received.headers["x-api-key"] == "k"
    assert "expect" not in received.headers
    assert received.headers["traceparent"] == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    event = json.loads(received.body)
    assert event.pop("time")
    assert event == {
        "specversion": "1.0",
        "id": delivery.event,
        "source": "client-1",
        "type": "Order",
        "subject": "A-1",
        "datacontenttype": "application/json",
        "clientid": "client-1",
        "namespace": "shop",
        "data": {"orderId": "A-1", "total": 125.5},
    }
    assert received.body.endswith(b'"data":{"orderId":"A-1","total":125.50}}')
    assert await outcomes(office, endpoint, 1) == [Outcome.DELIVERED]
    (attempt,) = office.attempts(endpoint)
    assert (attempt.delivery, attempt.source, attempt.number, attempt.status) == (delivery.id, delivery.source, 1, 204)


async def test_a_failed_delivery_comes_again_with_the_same_id_and_body(
    office: PostOffice, mailbox: Mailbox, url: str
) -> None:
    mailbox.answers = [500, 200]
    endpoint = await office.endpoint(url, SECRET)
    await office.deliver(endpoint)
    assert await outcomes(office, endpoint, 2) == [Outcome.RETRYING, Outcome.DELIVERED]
    first, second = mailbox.received
    assert (first.id, first.body) == (second.id, second.body)
    Webhook(SECRET).verify(second.body, second.headers)
    assert second.at - first.at >= 4.9
    # Each try is signed when it is made: a receiver that takes no old signatures takes a late retry.
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 4
    assert {tier for tier, _ in office.waiting(endpoint)} == {topics.RETRY_TIERS[5]}
    failed, delivered = office.attempts(endpoint)
    assert (failed.number, failed.status, failed.response) == (1, 500, "answer 1")
    assert delivered.number == 2
    assert failed.next_at is not None


async def test_an_empty_schedule_means_one_attempt_and_then_a_dead_letter(
    office: PostOffice, mailbox: Mailbox, url: str
) -> None:
    mailbox.answers = [422]
    endpoint = await office.endpoint(url, retry_schedule=())
    (delivery,) = await office.deliver(endpoint)
    assert await outcomes(office, endpoint, 1) == [Outcome.DEAD]
    await until(lambda: bool(office.dead_letters(endpoint.id)), "set aside")
    ((headers, value),) = office.dead_letters(endpoint.id)
    assert headers["hr_dead_kind"] == b"delivery"
    assert headers["hr_dead_status"] == b"422"
    assert headers["hr_dead_response"] == b"answer 1"
    assert headers["hr_delivery"] == delivery.id.encode()
    assert headers["ce_type"] == b"Order"
    assert value is not None
    assert len(mailbox.received) == 1


async def test_attempts_are_one_more_than_the_schedule(office: PostOffice, mailbox: Mailbox, url: str) -> None:
    mailbox.answers = [500]
    endpoint = await office.endpoint(url, retry_schedule=(0.1, 0.1))
    await office.deliver(endpoint)
    expected = [Outcome.RETRYING, Outcome.RETRYING, Outcome.DEAD]
    assert await outcomes(office, endpoint, 3) == expected
    assert len(mailbox.received) == 3
    first, second, _ = office.attempts(endpoint)
    assert first.next_at is not None
    assert 0 <= second.started_at - first.next_at < 3_000_000
    await until(lambda: bool(office.dead_letters(endpoint.id)), "set aside")
    ((headers, _),) = office.dead_letters(endpoint.id)
    assert headers["hr_attempts"] == b"3"


@pytest.mark.parametrize("redirect", [(302, None), (307, "http://127.0.0.2:1/"), (308, "http://10.0.0.1/")])
async def test_a_redirect_is_a_failure_and_not_followed(
    office: PostOffice, mailbox: Mailbox, url: str, receiver: Receiver, redirect: tuple[int, str | None]
) -> None:
    status, elsewhere = redirect
    other = receiver.mailbox(f"{uuid.uuid4()}-target")
    mailbox.answers = [status]
    target = next(path for path, box in receiver._mailboxes.items() if box is other)
    mailbox.headers = {"Location": elsewhere or target}
    endpoint = await office.endpoint(url, retry_schedule=())
    await office.deliver(endpoint)
    assert await outcomes(office, endpoint, 1) == [Outcome.DEAD]
    assert "redirects are not followed" in str(office.attempts(endpoint)[0].error)
    assert other.received == []


async def test_gone_disables_the_endpoint_until_it_is_edited(office: PostOffice, mailbox: Mailbox, url: str) -> None:
    mailbox.answers = [410, 200]
    endpoint = await office.endpoint(url)
    await office.deliver(endpoint)
    assert await outcomes(office, endpoint, 1) == [Outcome.DEAD]
    await until(lambda: office.endpoint_state(endpoint) is not None, "disabled")
    state = office.endpoint_state(endpoint)
    assert state is not None
    assert state.disabled_reason == "the endpoint answered 410 Gone"
    await office.deliver(endpoint, 2)
    assert await outcomes(office, endpoint, 3) == [Outcome.DEAD, Outcome.CANCELLED, Outcome.CANCELLED]
    assert len(mailbox.received) == 1
    await office.put(msgspec.structs.replace(endpoint, updated_at=timestamps.now()))
    await office.deliver(endpoint)
    await until(lambda: len(mailbox.received) == 2, "delivered again")


async def test_gone_says_nothing_of_the_url_that_the_endpoint_has_since(
    office: PostOffice, mailbox: Mailbox, url: str, receiver: Receiver, name: str
) -> None:
    arrived, edited = threading.Event(), threading.Event()

    async def gone_after_the_edit(_: web.Request, __: int) -> web.StreamResponse:
        arrived.set()
        await asyncio.to_thread(edited.wait, 120)
        return web.Response(status=410)

    receiver.mailbox(f"{name}-old").answering = gone_after_the_edit
    endpoint = await office.endpoint(receiver.url(f"{name}-old"))
    await office.deliver(endpoint)
    await until(arrived.is_set, "the request is under way")
    await office.put(msgspec.structs.replace(endpoint, url=url, updated_at=timestamps.now()))
    routed = 1
    while not mailbox.received:
        # As long as the connector has not read of the edit, they go to the old URL and wait there.
        await office.deliver(endpoint)
        routed += 1
        await asyncio.sleep(0.1)
    edited.set()

    def made() -> list[Outcome]:
        return [attempt.outcome for attempt in office.attempts(endpoint)]

    await until(lambda: made().count(Outcome.DELIVERED) == routed, "the new URL gets what the old one refused, too")
    assert len(mailbox.received) == routed
    assert set(made()) == {Outcome.RETRYING, Outcome.DELIVERED}
    assert office.endpoint_state(endpoint) is None


async def test_an_edit_ends_the_pause_that_another_url_asked_for(
    office: PostOffice, mailbox: Mailbox, url: str
) -> None:
    mailbox.answers = [429, 200]
    mailbox.headers = {"Retry-After": "86400"}
    endpoint = await office.endpoint(url)
    await office.deliver(endpoint)
    assert await outcomes(office, endpoint, 1) == [Outcome.RETRYING]
    await office.put(msgspec.structs.replace(endpoint, updated_at=timestamps.now()))
    while len(mailbox.received) < 2:
        # Until the connector has read of the edit, they go to the tier of the pause's end.
        await office.deliver(endpoint)
        await asyncio.sleep(0.1)


async def test_an_edit_reopens_an_endpoint_that_another_url_had_closed(
    office: PostOffice, mailbox: Mailbox, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "FIRST_COOLDOWN", 3_600.0)
    mailbox.answers = [*[500] * lanes.TRIP_AFTER, 200]
    endpoint = await office.endpoint(url, retry_schedule=())
    await office.deliver(endpoint, lanes.TRIP_AFTER)
    assert await outcomes(office, endpoint, lanes.TRIP_AFTER) == [Outcome.DEAD] * lanes.TRIP_AFTER
    await office.deliver(endpoint)
    await until(lambda: bool(office.waiting(endpoint)), "it waits on a retry tier")
    await office.put(msgspec.structs.replace(endpoint, updated_at=timestamps.now()))
    await until(lambda: len(mailbox.received) > lanes.TRIP_AFTER, "it looks again long before the cool-down ends")


async def test_retry_after_pauses_the_endpoint_for_all_of_that_time(
    office: PostOffice, mailbox: Mailbox, url: str
) -> None:
    mailbox.answers = [429, 200]
    mailbox.headers = {"Retry-After": "8"}
    endpoint = await office.endpoint(url)
    await office.deliver(endpoint)
    await until(lambda: office.endpoint_state(endpoint) is not None, "paused")
    await office.deliver(endpoint, 3)
    assert await outcomes(office, endpoint, 5) == [Outcome.RETRYING] + [Outcome.DELIVERED] * 4
    first, *others = mailbox.received
    assert len(others) == 4
    assert all(received.at - first.at >= 8.0 for received in others)
    assert {delivery.attempts for _, delivery in office.waiting(endpoint)} == {0, 1}


async def test_the_timeout_covers_the_last_body_byte(office: PostOffice, mailbox: Mailbox, url: str) -> None:
    async def drip(request: web.Request, _: int) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b".")
            await asyncio.sleep(0.1)
        return response

    mailbox.answering = drip
    endpoint = await office.endpoint(url, timeout=0.5, retry_schedule=())
    await office.deliver(endpoint)
    assert await outcomes(office, endpoint, 1) == [Outcome.DEAD]
    (attempt,) = office.attempts(endpoint)
    assert attempt.status is None
    assert attempt.error == "no complete answer within 0.5 s"
    assert 0.4 < attempt.duration < 10


async def test_a_huge_answer_is_read_only_up_to_the_limit(office: PostOffice, mailbox: Mailbox, url: str) -> None:
    sent = 0

    async def flood(request: web.Request, _: int) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)
            sent += 65_536

    mailbox.answering = flood
    endpoint = await office.endpoint(url, timeout=60.0)
    await office.deliver(endpoint)
    assert await outcomes(office, endpoint, 1) == [Outcome.DELIVERED]
    (attempt,) = office.attempts(endpoint)
    assert attempt.response == "x" * 2_048
    assert sent < 50_000_000


@pytest.mark.parametrize("host", ["127.0.0.2", "0.0.0.0", "[::ffff:127.0.0.2]", "169.254.169.254"])  # noqa: S104  # addresses to refuse
async def test_addresses_that_are_not_allowed_are_not_connected_to(
    office: PostOffice, mailbox: Mailbox, receiver: Receiver, name: str, host: str
) -> None:
    endpoint = await office.endpoint(f"http://{host}:{receiver.port}/{name}", retry_schedule=())
    await office.deliver(endpoint)
    assert await outcomes(office, endpoint, 1) == [Outcome.DEAD]
    assert "is not a public address" in str(office.attempts(endpoint)[0].error)
    assert mailbox.received == []


async def test_a_name_is_judged_by_the_address_it_resolves_to(
    office: PostOffice, mailbox: Mailbox, receiver: Receiver, name: str
) -> None:
    endpoint = await office.endpoint(f"http://localhost:{receiver.port}/{name}", retry_schedule=())
    await office.deliver(endpoint)
    assert await outcomes(office, endpoint, 1) == [Outcome.DELIVERED]
    assert len(mailbox.received) == 1


async def test_deliveries_of_a_deleted_or_disabled_endpoint_are_cancelled(
    office: PostOffice, mailbox: Mailbox, url: str, receiver: Receiver
) -> None:
    deleted, disabled = await office.endpoint(url), await office.endpoint(url, enabled=False)
    await office.delete(deleted)
    await read_by_connector(office, receiver)
    await office.deliver(deleted)
    await office.deliver(disabled)
    assert await outcomes(office, deleted, 1) == [Outcome.CANCELLED]
    assert await outcomes(office, disabled, 1) == [Outcome.CANCELLED]
    assert mailbox.received == []


async def test_poison_is_set_aside_and_the_next_delivery_arrives(
    office: PostOffice, mailbox: Mailbox, url: str, connector: CollectorRegistry
) -> None:
    endpoint = await office.endpoint(url)
    good = office.delivery(endpoint)
    marked = str(uuid.uuid4()).encode()
    poison = [
        Record(topics.WEBHOOK_DELIVERIES, good.value, good.key, [("mark", marked)]),
        Record(topics.WEBHOOK_DELIVERIES, b"\x00garbage" + marked, good.key, office.delivery(endpoint).headers),
        Record(
            topics.WEBHOOK_DELIVERIES, None, good.key, [*(office.delivery(endpoint).headers or []), ("mark", marked)]
        ),
    ]
    await office.producer.send([*poison, good])
    await until(lambda: len(mailbox.received) == 1, "the good one arrives")

    def set_aside() -> int:
        found = 0
        for message in office._read(topics.DEAD_LETTERS):
            headers = dict(message.headers() or ())
            found += headers.get("mark") == marked or marked in (message.value() or b"")
        return found

    await until(lambda: set_aside() == 3, "set aside")
    assert (connector.get_sample_value("headrace_webhook_poison_total", {"topic": topics.WEBHOOK_DELIVERIES}) or 0) >= 3


async def test_a_delivery_that_our_own_code_cannot_handle_is_set_aside(
    office: PostOffice, mailbox: Mailbox, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await office.endpoint(url)
    of_try = Outcomes.of_try

    def fails(self: Outcomes, job: Job, tried: Endpoint, answer: Response, started_at: int) -> list[Record]:
        if tried.id == endpoint.id:
            raise OverflowError("a-secret")
        return of_try(self, job, tried, answer, started_at)

    monkeypatch.setattr(Outcomes, "of_try", fails)
    (delivery,) = await office.deliver(endpoint)
    await until(lambda: fault_of(office, delivery.id) == b"it cannot be handled: OverflowError", "set aside")
    assert len(mailbox.received) == 1


def fault_of(office: PostOffice, delivery: str) -> bytes | None:
    """Why a delivery was set aside, if it was."""
    letters = (dict(message.headers() or ()) for message in office._read(topics.DEAD_LETTERS))
    return next((each["hr_dead_reason"] for each in letters if each.get("hr_delivery") == delivery.encode()), None)


async def test_a_delivery_that_our_own_code_cannot_even_accept_is_set_aside(
    office: PostOffice, mailbox: Mailbox, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, good = await office.endpoint(url), await office.endpoint(url)
    disabled_reason = EndpointStates.disabled_reason

    def fails(self: EndpointStates, endpoint: Endpoint) -> str | None:
        if endpoint.id == broken.id:
            raise OverflowError("a-secret")
        return disabled_reason(self, endpoint)

    # Both are known before they are asked about.
    await office.deliver(broken)
    await until(lambda: len(mailbox.received) == 1, "received")
    monkeypatch.setattr(EndpointStates, "disabled_reason", fails)
    records = [msgspec.structs.replace(office.delivery(each), partition=0) for each in (broken, good)]
    await office.producer.send(records)
    await until(lambda: len(mailbox.received) == 2, "the next delivery arrives")
    delivery = Delivery.from_headers(records[0].headers).id
    await until(lambda: fault_of(office, delivery) == b"it cannot be handled: OverflowError", "set aside")


async def test_a_delivery_of_which_nothing_can_be_written_is_set_aside(
    office: PostOffice, mailbox: Mailbox, url: str
) -> None:
    async def pause(_: web.Request, __: int) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": "600"})

    mailbox.answering = pause
    endpoint = await office.endpoint(url)
    await office.deliver(endpoint)
    await until(lambda: office.endpoint_state(endpoint) is not None, "paused")
    # Too old to be put off once more, and its attempt is larger than its topic takes.
    long_ago = timestamps.now() - 20 * 86_400 * 1_000_000
    await office.deliver(endpoint, run="r" * 1_200_000, routed_at=long_ago)

    def reasons() -> list[bytes | None]:
        return [dict(message.headers() or ()).get("hr_dead_reason") for message in office._read(topics.DEAD_LETTERS)]

    await until(lambda: b"it cannot be handled: PayloadTooLarge" in reasons(), "set aside")


@pytest.mark.parametrize("trace", [b"00-1-2-01\r\nX-Injected: 1", b"\xff", b""])
async def test_a_trace_context_that_is_no_header_does_not_keep_an_event_from_its_receiver(
    office: PostOffice, mailbox: Mailbox, url: str, trace: bytes
) -> None:
    endpoint = await office.endpoint(url, SECRET)
    record = office.delivery(endpoint)
    headers = [(name, trace if name == "traceparent" else value) for name, value in record.headers or []]
    await office.producer.send([msgspec.structs.replace(record, headers=headers)])
    await until(lambda: bool(mailbox.received), "received")
    (received,) = mailbox.received
    Webhook(SECRET).verify(received.body, received.headers)
    assert not {"traceparent", "x-injected"} & received.headers.keys()


async def test_what_is_committed_reaches_the_end_of_the_log(office: PostOffice, mailbox: Mailbox, url: str) -> None:
    """A transaction's marker is no record: it must not look as if a delivery was still to come."""
    endpoint = await office.endpoint(url)
    router = TransactionalProducer(office.settings, f"router-{uuid.uuid4()}")
    router.start()
    router.begin()
    router.produce(office.delivery(endpoint))
    router.commit()
    router.close()
    await until(lambda: len(mailbox.received) == 1, "received")
    consumer = BatchConsumer(office.settings, group=GROUP)
    partitions = consumer.partitions_of([topics.WEBHOOK_DELIVERIES])

    def lag() -> int:
        ends, committed = consumer.end_offsets(partitions), consumer.committed(partitions)
        return sum(end - (committed[partition] or 0) for partition, end in ends.items())

    try:
        await until(lambda: lag() == 0, "no lag")
    finally:
        consumer.close()


async def test_a_delivery_too_large_to_be_retried_is_set_aside(office: PostOffice, mailbox: Mailbox, url: str) -> None:
    async def refuse(_: web.Request, __: int) -> web.StreamResponse:
        return web.Response(status=500)

    mailbox.answering = refuse
    endpoint = await office.endpoint(url)
    # As another producer may write it to an event topic: within the topic's limit and over the gateway's own.
    large = office.delivery(endpoint, b'{"orderId":"' + b"x" * 900_000 + b'"}')
    headers = [*(large.headers or []), ("padding", b"x" * 650_000)]
    other = Producer(office.settings, **{"message.max.bytes": 2_000_000})
    await other.start()
    await other.send([msgspec.structs.replace(large, headers=headers)])
    await other.stop()
    await until(lambda: len(office.dead_letters(endpoint.id)) == 1, "set aside")
    ((dead, value),) = office.dead_letters(endpoint.id)
    assert dead["hr_dead_kind"] == b"delivery"
    assert b"cannot be tried again" in dead["hr_dead_reason"]
    assert value is None


async def test_poison_on_a_retry_tier_is_set_aside_and_the_next_retry_moves(
    office: PostOffice, mailbox: Mailbox, url: str
) -> None:
    endpoint = await office.endpoint(url)
    tier = topics.RETRY_TIERS[5]
    marked = str(uuid.uuid4()).encode()
    due = timestamps.now() // 1_000
    good = msgspec.structs.replace(office.delivery(endpoint, attempts=1, due=due), topic=tier)
    await office.producer.send([Record(tier, b"?", good.key, [("mark", marked)]), good])
    await until(lambda: len(mailbox.received) == 1, "the good one arrives")

    def set_aside() -> bool:
        return any(("mark", marked) in (message.headers() or ()) for message in office._read(topics.DEAD_LETTERS))

    await until(set_aside, "set aside")
    await outcomes(office, endpoint, 1)
    (attempt,) = office.attempts(endpoint)
    assert attempt.number == 2


async def test_a_retry_passes_through_its_tiers_and_is_neither_early_nor_late(
    office: PostOffice, mailbox: Mailbox, url: str
) -> None:
    endpoint = await office.endpoint(url)
    tier = topics.RETRY_TIERS[5]
    began = time.monotonic()
    due = timestamps.now() // 1_000 + 9_500
    routed = [office.delivery(endpoint, attempts=3, due=due) for _ in range(50)]
    await office.producer.send([msgspec.structs.replace(record, topic=tier) for record in routed])
    await until(lambda: len(mailbox.received) == 50, "all came back")
    assert all(received.at - began >= 9.5 for received in mailbox.received)
    assert [name for name, _ in office.waiting(endpoint)] == [tier] * 100
    await until(lambda: len(office.attempts(endpoint)) == 50, "attempts are written")
    assert {attempt.number for attempt in office.attempts(endpoint)} == {4}


async def test_a_hanging_endpoint_does_not_hold_up_the_others(
    office: PostOffice, mailbox: Mailbox, url: str, receiver: Receiver, name: str
) -> None:
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def hang(_: web.Request, __: int) -> web.StreamResponse:
        if not released.is_set():  # late retries come when the test's event loop is closed
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(released.wait(), loop))
        return web.Response()

    receiver.mailbox(f"{name}-hangs").answering = hang
    hanging = await office.endpoint(receiver.url(f"{name}-hangs"), timeout=300)
    healthy = await office.endpoint(url)
    mixed = [office.delivery(hanging) for _ in range(300)] + [office.delivery(healthy) for _ in range(100)]
    # Both on one partition, so that only the lanes can keep them apart.
    await office.producer.send([msgspec.structs.replace(record, partition=0) for record in mixed])
    await until(lambda: len(mailbox.received) == 100, "the healthy endpoint has all of its deliveries")
    await until(lambda: len(office.waiting(hanging)) >= 250, "the rest waits on a retry tier")
    released.set()
    await until(lambda: Outcome.DELIVERED in [each.outcome for each in office.attempts(hanging)], "it went on")


async def test_a_request_that_our_own_code_cannot_make_is_a_try_that_failed(
    office: PostOffice, mailbox: Mailbox, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = await office.endpoint(url, retry_schedule=())
    send = Authorizer.send

    async def fails(self: Authorizer, request: Request, endpoint: Endpoint, seconds: float) -> Response:
        if endpoint.id == broken.id:
            raise OverflowError("a-secret")
        return await send(self, request, endpoint, seconds)

    monkeypatch.setattr(Authorizer, "send", fails)
    await office.deliver(broken)
    assert await outcomes(office, broken, 1) == [Outcome.DEAD]
    (attempt,) = office.attempts(broken)
    assert attempt.error == "the request cannot be made: OverflowError"
    assert mailbox.received == []
