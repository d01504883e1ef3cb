"""What a transactional producer asks of librdkafka."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from backbone.kafka import transaction
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.transaction import TransactionalProducer
from schemas.errors import Fenced


def test_a_transaction_waits_milliseconds_for_the_markers_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """As librdkafka comes it is 100 ms, whenever the broker was not done with them yet (ADR 0002)."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(transaction, "Client", asked.update)

    transaction.TransactionalProducer(KafkaSettings(), "any")

    assert asked["retry.backoff.ms"] <= 5


class Client:
    """Hangs in ``send_offsets``, or fails to commit and to abort, until it is let go."""

    def __init__(self, _config: Any) -> None:
        self.released, self.closed = threading.Event(), threading.Event()
        self.aborts: list[float] = []

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
    began = time.monotonic()
    with pytest.raises(Fenced, match="abort"):
        producer.commit()
    producer.close()
    assert time.monotonic() - began < 60
    assert client.closed.wait(60)
    (asked,) = client.aborts
    assert asked <= transaction._ABORT_SECONDS
