"""What a transactional producer asks of librdkafka."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from backbone.kafka import transaction
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.transaction import TransactionalProducer
from schemas.model.errors import Fenced


def test_a_transaction_waits_milliseconds_for_the_markers_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """As librdkafka comes it is 100 ms, whenever the broker was not done with them yet (ADR 0002)."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(transaction, "Client", asked.update)

    transaction.TransactionalProducer(KafkaSettings(options={"debug": "msg"}), "any")

    assert asked["retry.backoff.ms"] <= 5
    # What it asks for itself does not take the place of what the installation asks for.
    assert asked["debug"].split(",") == ["broker", "msg"]


class Client:
    """Hangs in ``send_offsets``, or fails to commit and to abort, until it is let go."""

    def __init__(self, _config: Any) -> None:
        self.released, self.closed = threading.Event(), threading.Event()
        self.aborts: list[float] = []
        self.ids_taken = 0

    def poll(self, _timeout: float) -> None: ...

    def init_transactions(self, _timeout: float) -> None:
        self.ids_taken += 1

    def begin_transaction(self) -> None: ...

    def send_offsets_to_transaction(self, *_arguments: Any) -> None:
        self.released.wait()

    def commit_transaction(self, _timeout: float) -> None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer", txn_requires_abort=True))

    def abort_transaction(self, timeout: float) -> None:
        self.aborts.append(timeout)
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer"))

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client({})
    monkeypatch.setattr(transaction, "Client", lambda _config: made)
    monkeypatch.setattr(transaction, "_OVERTIME", 0.05)
    return made


def test_a_call_that_does_not_return_is_left_behind_with_its_client(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """As librdkafka does when a group's coordinator leaves the metadata, whatever timeout it is given."""
    producer = TransactionalProducer(KafkaSettings(), "any", timeout=0.05)
    producer.begin()
    with pytest.raises(Fenced, match="hangs"):
        producer.send_offsets({("t", 0): 1}, "member")
    assert [each.levelname for each in caplog.records] == ["ERROR"]
    producer.close()
    assert not client.closed.is_set()
    client.released.set()
    assert client.closed.wait(60)


def test_what_a_failed_commit_leaves_open_is_not_waited_for_as_long_again(client: Client) -> None:
    producer = TransactionalProducer(KafkaSettings(), "any", timeout=3_600.0)
    producer.begin()
    with pytest.raises(Fenced, match="abort"):
        producer.commit()
    producer.close()  # after an hour the test would long have timed out
    assert client.closed.wait(60)
    (asked,) = client.aborts
    assert asked <= transaction._ABORT_SECONDS


def test_a_transaction_after_a_broken_connection_has_a_new_epoch(client: Client) -> None:
    """A request of the old one may still be on its way."""
    producer = TransactionalProducer(KafkaSettings(), "any")
    producer.start()
    producer.begin()
    producer._connections.has_broken = True
    with pytest.raises(Fenced):  # the rest of this transaction goes on under its epoch
        producer.commit()
    assert client.ids_taken == 1

    producer = TransactionalProducer(KafkaSettings(), "any")
    producer.start()
    producer._connections.has_broken = True
    producer.begin()
    assert client.ids_taken == 3
    assert client.closed.wait(60)  # the client with the old epoch
    producer.begin()
    assert client.ids_taken == 3


def test_a_new_epoch_that_kafka_does_not_give_ends_the_producer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_timeout: float) -> None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer"))

    producer = TransactionalProducer(KafkaSettings(), "any")
    producer.start()
    producer._connections.has_broken = True
    monkeypatch.setattr(client, "init_transactions", refuse)
    with pytest.raises(Fenced, match="new epoch"):
        producer.begin()


def test_a_lock_is_not_taken_back_from_whoever_has_it_since_a_connection_broke(client: Client) -> None:
    """What its holder read before may be outdated: it has to read again under a new producer."""
    producer = TransactionalProducer(KafkaSettings(), "any", is_lock=True)
    producer.start()
    producer._connections.has_broken = True
    with pytest.raises(Fenced, match="lock"):
        producer.begin()
    assert client.ids_taken == 1
    producer.close()
    assert client.closed.wait(60)
