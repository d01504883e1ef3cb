"""The records of runs on their compacted topic, and of what became of dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.kafka.records import Record, partition_for
from schemas.model import topics
from schemas.model.run import COMMAND, PROGRESS, LetterMark, Run, RunCommand, RunProgress

if TYPE_CHECKING:
    from backbone.kafka.records import ConsumedRecord

_ENCODER = msgspec.json.Encoder()


def partition_of(lock: str, partitions: int) -> int:
    """The partition of ``runs`` that the runs with a lock are in; who has it executes them."""
    return partition_for(lock.encode(), partitions)


def run_record(run: Run, partitions: int) -> Record:
    """The run as it was asked for.

    Args:
        run: a new one.
        partitions: of the topic, here and below.
    """
    return _record(run, "", run, partitions)


def command_record(run: Run, command: RunCommand, partitions: int) -> Record:
    """What a person asks of a run."""
    return _record(run, COMMAND, command, partitions)


def progress_record(run: Run, progress: RunProgress, partitions: int) -> Record:
    """How far a run is."""
    return _record(run, PROGRESS, progress, partitions)


def forgetting_records(run: Run, partitions: int) -> list[Record]:
    """Tombstones of all that is known of a run; its own record goes last."""
    number = partition_of(run.lock, partitions)
    keys = (f"{run.id}{COMMAND}", f"{run.id}{PROGRESS}", run.id)
    return [Record(topics.RUNS, None, key.encode(), partition=number) for key in keys]


def mark_record(mark: LetterMark) -> Record:
    """What became of a dead letter; marks of one partition of letters stay in order."""
    return Record(topics.DEAD_LETTER_MARKS, _ENCODER.encode(mark), str(mark.partition).encode())


def key_of(message: ConsumedRecord) -> tuple[str, str]:
    """The run that a record is about, and which of its records it is: empty, ``COMMAND`` or ``PROGRESS``."""
    run, slash, part = (message.key() or b"").decode(errors="replace").partition("/")
    return run, slash + part


def _record(run: Run, part: str, value: Run | RunCommand | RunProgress, partitions: int) -> Record:
    number = partition_of(run.lock, partitions)
    return Record(topics.RUNS, _ENCODER.encode(value), f"{run.id}{part}".encode(), partition=number)
