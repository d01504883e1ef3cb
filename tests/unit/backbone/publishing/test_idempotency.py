"""What the log keeps and forgets, as its tail applies records to it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock, Mock

import msgspec
import pytest

from backbone.kafka.producer import Producer
from backbone.kafka.records import Ack, Message, Record
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.tail import TopicTail
from backbone.publishing import idempotency
from backbone.publishing.claims import ClaimRecord
from backbone.publishing.idempotency import IdempotencyKey, IdempotencyLog
from backbone.publishing.known_answers import Answer
from schemas.model.errors import CorruptRecord, IdempotencyMismatch, InProgress, NotAcknowledged, NotWritten, QueueFull

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3_600_000
NOW = 1_700_000_000_000


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ``NOW``, however long a test takes."""
    monkeypatch.setattr(idempotency, "time", SimpleNamespace(time=lambda: NOW / 1_000))


def log_of(**settings: int) -> IdempotencyLog:
    kafka = KafkaSettings(bootstrap_servers="127.0.0.1:1", **settings)
    return IdempotencyLog(kafka, Producer(kafka))


def key(name: str, client: str = "c", body: bytes = b"b") -> IdempotencyKey:
    return IdempotencyKey(client, name, body)


def record(*keys: IdempotencyKey, offset: int = 1, at: int = 0, partition: int = 0) -> Message:
    answers = [(each.digest, Answer(each.body_hash, ("t",), ((0, 0, offset),), 5)) for each in keys]
    value = msgspec.msgpack.encode((keys[0].client, answers))
    return Message(topic="idempotency", partition=partition, value=value, timestamp=(2, at))


def offset_of(log: IdempotencyLog, wanted: IdempotencyKey) -> int | None:
    answer = log._find(wanted, wanted.digest)
    return answer and answer.places[0][2]


def test_an_answer_is_found_under_its_client_and_key() -> None:
    log = log_of()
    log._apply(record(key("a"), key("b"), offset=7))
    assert offset_of(log, key("a")) == offset_of(log, key("b")) == 7
    assert offset_of(log, key("c")) is None
    assert offset_of(log, key("a", client="other")) is None


async def test_another_body_is_a_mismatch() -> None:
    log = log_of()
    log._apply(record(key("a")))
    with pytest.raises(IdempotencyMismatch):
        await log._find_all([key("a", body=b"other")], [key("a").digest])


async def test_an_older_answer_is_taken_only_for_the_very_same_body() -> None:
    log = log_of()
    log._apply(record(key("old", body=b"old body"), offset=4))
    digest = key("old").digest
    same, changed = (IdempotencyKey("c", "new", b"b", ((digest, body),)) for body in (b"old body", b"another"))
    assert offset_of(log, same) == 4
    assert offset_of(log, changed) is None
    (answer,) = await log._find_all([same], [same.digest])
    assert answer is not None
    assert answer.body_hash == b"old body"


def test_the_first_answer_stands() -> None:
    log = log_of()
    log._apply(record(key("a"), offset=1))
    log._apply(record(key("a"), offset=2))
    assert offset_of(log, key("a")) == 1


def test_what_is_older_than_the_window_is_forgotten_with_its_client() -> None:
    log = log_of(idempotency_window=3_600)
    log._apply(record(key("old"), at=HOUR))
    log._apply(record(key("new", client="other"), at=2 * HOUR + HOUR // 10))
    assert offset_of(log, key("old")) is None
    assert offset_of(log, key("new", client="other")) == 1
    assert log._answers.clients == ["other"]


def test_a_client_at_its_bound_loses_its_oldest_keys_and_no_other_clients() -> None:
    log = log_of(idempotency_keys=3)
    log._apply(record(key("x", client="quiet"), at=NOW - HOUR))
    for number in range(5):
        log._apply(record(key(str(number)), at=NOW - 60_000 + number * 1_000))
    assert [offset_of(log, key(str(number))) for number in range(5)] == [None, None, 1, 1, 1]
    assert offset_of(log, key("x", client="quiet")) == 1
    assert log.effective_window == pytest.approx(58)


def test_after_a_start_the_newest_keys_are_known_however_the_partitions_were_read() -> None:
    log = log_of(idempotency_keys=4)
    # Keys 0 to 11 were used one after the other, minute by minute; a start reads one partition before the next.
    for partition in (2, 0, 3, 1):
        for number in range(partition, 12, 4):
            log._apply(record(key(str(number)), at=NOW - (12 - number) * 60_000, partition=partition))
    assert [offset_of(log, key(str(number))) for number in range(12)] == [None] * 8 + [1] * 4
    assert log.effective_window == pytest.approx(240)


def test_a_key_is_forgotten_after_the_window_though_no_other_key_is_used() -> None:
    log = log_of(idempotency_window=3_600)
    log._apply(record(key("new"), at=NOW - HOUR // 2, partition=1))
    log._apply(record(key("old"), at=NOW - HOUR - HOUR // 10))
    old, new = log.answered([key("old", body=b"other"), key("new")])
    assert old is None
    assert new is not None


async def test_who_cannot_get_a_claim_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And gives up for good: an event that was refused must not turn up when Kafka is back."""
    monkeypatch.setattr(idempotency, "_MOST_WAIT", 0.05)
    log = log_of()
    acknowledgements: list[asyncio.Future[list[Ack]]] = []

    def send(records: Sequence[Record], *, final: bool) -> asyncio.Future[list[Ack]]:
        assert final
        sent.extend(records)
        acknowledgements.append(asyncio.get_running_loop().create_future())
        return acknowledgements[-1]

    sent: list[Record] = []
    monkeypatch.setattr(log._producer, "send", send)
    monkeypatch.setattr(log._tail, "partition_count", AsyncMock(return_value=4))
    monkeypatch.setattr(TopicTail, "known_partitions", 4)
    with pytest.raises(NotWritten, match="in time"):
        async with log.claim([key("a")], [[("t", 0)]]):
            pytest.fail("claimed")
    # The claim is acknowledged after all: it holds up nobody.
    acknowledgements[0].set_result([Ack(0, 7)])
    await asyncio.sleep(0)
    claim, release = (msgspec.msgpack.decode(each.value or b"", type=ClaimRecord) for each in sent)
    assert [each.digest for each in claim.claims] == [key("a").digest]
    assert release.released == ((key("a").digest, 7),)
    assert sent[0].key == sent[1].key


async def test_a_second_request_of_a_process_waits_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "_MOST_WAIT", 0.05)
    log = log_of()
    monkeypatch.setattr(log._claims, "is_ours", lambda *_: True)
    async with log.claim([key("a"), key("b")], [(), ()]):
        with pytest.raises(InProgress):
            async with log.claim([key("b")], [()]):
                pytest.fail("claimed twice")
    async with log.claim([key("b")], [()]) as claimed:
        assert claimed.answers == [None]


async def test_an_answer_for_which_the_queue_has_no_room_does_not_free_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its event is written: a repeat must look for it."""
    log = log_of()
    monkeypatch.setattr(log._tail, "partition_count", AsyncMock(return_value=4))
    monkeypatch.setattr(log._producer, "send", Mock(side_effect=QueueFull("full")))
    with pytest.raises(NotAcknowledged):
        await log.record([key("a")], [Answer(b"b", ("t",), ((0, 0, 1),), 5)])


async def test_records_share_a_key_only_when_they_answer_the_same_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else compaction would drop the answers that only the earlier one has."""
    log = log_of()
    sent: list[Record] = []
    monkeypatch.setattr(log._tail, "partition_count", AsyncMock(return_value=1))
    monkeypatch.setattr(log._producer, "send", AsyncMock(side_effect=lambda records, **_: sent.extend(records)))
    answer = Answer(b"b", ("t",), ((0, 0, 1),), 5)
    for names in ("a", "a", "ab", "ab", "ac"):
        await log.record([key(name) for name in names], [answer] * len(names))
    one, again, two, two_again, others = [each.key for each in sent]
    assert one == again == key("a").digest
    assert two == two_again
    assert len({one, two, others}) == 3


def test_the_window_is_whole_while_nobody_is_at_the_bound() -> None:
    assert log_of(idempotency_window=7_200).effective_window == 7_200


@pytest.mark.parametrize("value", [b"", b"\xff", msgspec.msgpack.encode(("c", [(b"d", "no answer")]))])
def test_a_record_that_cannot_be_read_is_corrupt_and_leaves_nothing_behind(value: bytes) -> None:
    log = log_of()
    with pytest.raises(CorruptRecord):
        log._apply(Message(topic="idempotency", value=value, timestamp=(2, 0)))
    assert not log._answers
