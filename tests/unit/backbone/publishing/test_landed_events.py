"""What a search for events comes to when Kafka does not answer."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest

from backbone.kafka.settings import KafkaSettings
from backbone.publishing import landed_events
from backbone.publishing.landed_events import find_landed
from schemas.model.errors import NotWritten, Unavailable


@pytest.mark.parametrize("question", ["offsets_for_times", "end_offsets", "consume"])
def test_a_search_that_kafka_does_not_answer_has_written_nothing(
    monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    place = ("t", 0)
    consumer = Mock(ends={})
    consumer.offsets_for_times.return_value = {place: 0}
    consumer.end_offsets.return_value = {place: 5}
    getattr(consumer, question).side_effect = Unavailable("no answer")
    monkeypatch.setattr(landed_events, "BatchConsumer", Mock(return_value=consumer))
    with pytest.raises(NotWritten, match="could not be looked for"):
        asyncio.run(find_landed(KafkaSettings(bootstrap_servers="127.0.0.1:1"), ["a"], [place], 0, 5.0))
    consumer.close.assert_called_once()
