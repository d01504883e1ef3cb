from __future__ import annotations

import pytest

from connectors.file.settlements import settlement_records
from schemas.model.batched_attempts import Settled, read_attempts
from schemas.model.delivery import Outcome


@pytest.mark.parametrize("id_length", [36, 512])
def test_what_ended_together_is_in_records_that_kafka_takes(id_length: int) -> None:
    ids = [f"{number:0{id_length}}" for number in range(2_500)]
    ended = [Settled(each, "e" * id_length, "hook", "acme", "t/0/1", "live", 0) for each in ids]

    records = settlement_records(ended, Outcome.DELIVERED, ended_at=1)

    assert max(len(record.value or b"") for record in records) < 1_000_000
    found = [attempt.delivery for record in records for attempt in read_attempts(record.value or b"")]
    assert sorted(found) == ids


def test_without_deliveries_there_is_nothing_to_write() -> None:
    assert settlement_records([], Outcome.DELIVERED, ended_at=1) == []
