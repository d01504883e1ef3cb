"""All runs and how far they are: a view of the compacted topic ``runs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from backbone.kafka.topic_view import TopicView
from backbone.runs.records import key_of
from schemas.model import topics
from schemas.model.errors import CorruptRecord
from schemas.model.run import COMMAND, ENDED, PROGRESS, Run, RunCommand, RunProgress, RunState, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.kafka.records import Ack, ConsumedRecord
    from backbone.kafka.settings import KafkaSettings

_RUNS = msgspec.json.Decoder(Run)
_COMMANDS = msgspec.json.Decoder(RunCommand)
_PROGRESS = msgspec.json.Decoder(RunProgress)


class KnownRun(NamedTuple):
    """A run with the latest of its other records."""

    run: Run
    command: RunCommand | None = None
    progress: RunProgress | None = None

    @property
    def key(self) -> str:
        """Its name in lists."""
        return self.run.id

    @property
    def created_at(self) -> int:
        """When it was asked for, microseconds since the epoch."""
        return self.run.created_at

    @property
    def wanted(self) -> Wanted:
        """What is asked of it."""
        return Wanted.RUN if self.command is None else self.command.wanted

    @property
    def retries(self) -> int:
        """How often it was asked to go on after an end."""
        return 0 if self.command is None else self.command.retries

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is done."""
        return self.progress is not None and self.progress.state in ENDED and not self._is_asked_again

    @property
    def _is_asked_again(self) -> bool:
        return self.progress is not None and self.progress.retries < self.retries

    @property
    def state(self) -> RunState:
        """How far it is, with what was asked of it meanwhile."""
        if self.progress is not None and self.is_ended:
            return self.progress.state
        if self.wanted is Wanted.CANCEL:
            return RunState.CANCELLING
        if self.wanted is Wanted.PAUSE:
            return RunState.PAUSED
        return RunState.WAITING if self.progress is None or self._is_asked_again else RunState.RUNNING


class RunView(TopicView):
    """Every run, in memory; read only once somebody asks for them.

    Args:
        settings: how to reach Kafka.
        on_stall: see ``BatchConsumer``; for counting.
    """

    def __init__(self, settings: KafkaSettings, on_stall: Callable[[], None] | None = None) -> None:
        self._runs: dict[str, KnownRun] = {}
        # Compaction may leave a run's other records before its own.
        self._parts: dict[str, dict[str, Any]] = {}
        super().__init__(settings, topics.RUNS, on_stall)

    def catch_up(self) -> None:
        """Wait until everything that was written before this call is known, also behind open transactions. Blocks.

        Raises:
            Unavailable: Kafka does not answer, or a transaction stays open.
        """
        self.start()
        self._tail.catch_up(written=True)

    async def passed(self, ack: Ack) -> None:
        """Wait until a record that is written is known: read-your-writes.

        Raises:
            Unavailable: not in time.
        """
        await self._tail.wait_past(topics.RUNS, ack.partition, ack.offset)

    @property
    def partitions(self) -> int:
        """How many partitions the topic has; 0 before Kafka has said so."""
        return self._tail.known_partitions

    def run(self, run_id: str) -> KnownRun | None:
        """One run."""
        return self._runs.get(run_id)

    def runs(self, workspace: str | None = None) -> list[KnownRun]:
        """The runs of a workspace, or all."""
        # Copied at once: the tail's thread adds to it.
        return [each for each in list(self._runs.values()) if workspace in (None, each.run.workspace)]

    def apply(self, message: ConsumedRecord) -> None:
        """Take in one record of the topic.

        Raises:
            CorruptRecord: it is none of a run's.
        """
        run_id, part = key_of(message)
        value = message.value()
        if value is None:
            self._forget(run_id, part)
            return
        decoder: Any = {"": _RUNS, COMMAND: _COMMANDS, PROGRESS: _PROGRESS}.get(part)
        if decoder is None:
            raise CorruptRecord(f"no record of a run: {part}")
        try:
            found = decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptRecord(f"no record of a run: {error}") from error
        if part == "" and run_id in self._runs:
            # Two workers took the same request at once: the first record counts.
            return
        parts = self._parts.setdefault(run_id, {})
        parts[part] = found
        if "" in parts:
            self._runs[run_id] = KnownRun(parts[""], parts.get(COMMAND), parts.get(PROGRESS))

    def _forget(self, run_id: str, part: str) -> None:
        if part == "":
            self._runs.pop(run_id, None)
            self._parts.pop(run_id, None)
