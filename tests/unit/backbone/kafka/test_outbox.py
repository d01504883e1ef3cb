"""Lists of records, each written as a whole."""

from __future__ import annotations

from typing import Any, cast

import pytest

from backbone.kafka.outbox import Outbox
from backbone.kafka.records import Record
from schemas.model.errors import TransactionAborted

RECORDS = [Record("t", b"1"), Record("t", b"2")]


class Producer:
    """Fails at the calls that the test names."""

    def __init__(self, log: list[str], fails_at: str) -> None:
        self._log, self._fails_at = log, fails_at

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any) -> None:
            self._log.append(name)
            if name == self._fails_at:
                raise TransactionAborted(name)

        return call


def test_one_producer_writes_every_list() -> None:
    log: list[str] = []
    outbox = Outbox(lambda: cast("Any", Producer(log, "")))
    outbox.write(RECORDS)
    outbox.write(RECORDS)
    outbox.close()
    outbox.close()
    written = ["begin", "produce", "produce", "commit"]
    assert log == ["start", *written, *written, "close"]


@pytest.mark.parametrize("step", ["start", "begin", "produce", "commit"])
def test_after_a_failure_another_producer_is_built(step: str) -> None:
    log: list[str] = []
    failing = [step, ""]
    outbox = Outbox(lambda: cast("Any", Producer(log, failing.pop(0))))
    with pytest.raises(TransactionAborted):
        outbox.write(RECORDS)
    assert log[-1] == "close"
    log.clear()
    outbox.write(RECORDS)
    assert log == ["start", "begin", "produce", "produce", "commit"]
