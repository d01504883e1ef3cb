"""What a transactional producer asks of librdkafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbone.kafka import transaction
from backbone.kafka.settings import KafkaSettings

if TYPE_CHECKING:
    import pytest


def test_a_transaction_waits_milliseconds_for_the_markers_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """As librdkafka comes it is 100 ms, whenever the broker was not done with them yet (ADR 0002)."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(transaction, "Client", asked.update)

    transaction.TransactionalProducer(KafkaSettings(), "any")

    assert asked["retry.backoff.ms"] <= 5
