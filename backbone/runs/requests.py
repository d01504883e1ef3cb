"""How runs are asked for: written once, also when the request is repeated, and commanded later."""

from __future__ import annotations

import asyncio
import functools
import hashlib
from typing import TYPE_CHECKING

import msgspec

from backbone.runs.ranges import FoundRecord, check_there, find_ranges, read_record
from backbone.runs.records import command_record, run_record
from backbone.runs.view import KnownRun, RunView
from schemas.model import timestamps
from schemas.model.errors import Conflict, IdempotencyMismatch, NotFound, QuotaExceeded, Unavailable
from schemas.model.run import RunCommand, RunState, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from backbone.kafka.producer import Producer
    from backbone.kafka.records import Record
    from backbone.kafka.settings import KafkaSettings
    from backbone.runs.ranges import Begin
    from schemas.model.run import OffsetRange, Run

MOST_UNENDED = 100
"""Runs of one workspace that have not ended."""

_LOOK = 0.05
"""Seconds between two looks at a run that is waited for."""


class Runs:
    """The runs of this installation, for the HTTP plane.

    Args:
        kafka: how to reach Kafka.
        producer: writes requests.
        on_stall: see ``BatchConsumer``; for counting.
    """

    def __init__(self, kafka: KafkaSettings, producer: Producer, on_stall: Callable[[], None] | None = None) -> None:
        self._kafka = kafka
        self._producer = producer
        self._view = RunView(kafka, on_stall)
        self._searches = asyncio.Semaphore(4)

    def stop(self) -> None:
        """Stop reading. Blocks."""
        self._view.stop()

    async def view(self) -> RunView:
        """All runs, brought up to date.

        Raises:
            Unavailable: Kafka does not answer.
        """
        await self._view.caught_up()
        return self._view

    async def ranges(
        self, topics: Sequence[str], begin: Begin, until: int | None, *, seconds: float, is_strict: bool = True
    ) -> tuple[OffsetRange, ...]:
        """See ``find_ranges``."""
        find = functools.partial(find_ranges, self._kafka, topics, begin, until, seconds=seconds, is_strict=is_strict)
        async with self._searches:
            return await asyncio.to_thread(find)

    async def record(self, place: OffsetRange, *, seconds: float) -> FoundRecord:
        """See ``read_record``."""
        async with self._searches:
            return await asyncio.to_thread(read_record, self._kafka, place, seconds=seconds)

    async def check_there(self, ranges: Iterable[OffsetRange], *, seconds: float) -> None:
        """See ``ranges.check_there``."""
        async with self._searches:
            await asyncio.to_thread(check_there, self._kafka, ranges, seconds=seconds)

    async def repeated(self, run_id: str, digest: str) -> KnownRun | None:
        """The run that an earlier request with the same idempotency key made; None if this is the first.

        Raises:
            IdempotencyMismatch: the earlier request was another one.
            Unavailable: Kafka does not answer.
        """
        found = (await self.view()).run(run_id)
        if found is not None and found.run.digest != digest:
            raise IdempotencyMismatch("The Idempotency-Key was used with another request.")
        return found

    async def create(self, run: Run) -> KnownRun:
        """Have a run executed. Of two requests with one id the first counts.

        Raises:
            IdempotencyMismatch: that one was another request.
            QuotaExceeded: the workspace has too many runs that have not ended.
            Unavailable: Kafka does not take it; nothing may have begun, and it may be asked for again.
        """
        found = await self.repeated(run.id, run.digest)
        if found is not None:
            return found
        self._check_room(run.workspace)
        await self._write(run_record(run, self._partitions))
        # Another worker may have taken the same request a moment earlier.
        return await self.repeated(run.id, run.digest) or KnownRun(run)

    async def command(self, known: KnownRun, wanted: Wanted, by: str) -> KnownRun:
        """Pause, resume or cancel a run; a repeat changes nothing.

        Raises:
            Conflict: it has ended, or is being cancelled.
            Unavailable: Kafka does not take it.
        """
        if known.is_ended or (known.wanted is Wanted.CANCEL and wanted is not Wanted.CANCEL):
            raise Conflict(f"The run {known.run.id} is {known.state.value}: it cannot be changed any more.")
        if known.wanted is wanted:
            return known
        return await self._command(known, wanted, by, known.retries)

    async def retry(self, known: KnownRun, by: str) -> KnownRun:
        """Have a run that ended before its time go on where it was; two who ask at once ask once.

        Raises:
            Conflict: it has not ended, or it came to its end.
            QuotaExceeded: the workspace has too many runs that have not ended.
            Unavailable: Kafka does not take it.
        """
        if not known.is_ended or known.state is RunState.DONE:
            raise Conflict(f"The run {known.run.id} is {known.state.value}: only one that ended early is retried.")
        self._check_room(known.run.workspace)
        return await self._command(known, Wanted.RUN, by, known.retries + 1)

    async def _command(self, known: KnownRun, wanted: Wanted, by: str, retries: int) -> KnownRun:
        command = RunCommand(run=known.run.id, wanted=wanted, by=by, at=timestamps.now(), retries=retries)
        await self._write(command_record(known.run, command, self._partitions))
        return self._view.run(known.run.id) or known

    def _check_room(self, workspace: str) -> None:
        unended = [each for each in self._view.runs(workspace) if not each.is_ended]
        if len(unended) >= MOST_UNENDED:
            raise QuotaExceeded(f"There are {MOST_UNENDED} runs that have not ended: wait for some, or cancel them.")

    async def ended(self, known: KnownRun, seconds: float) -> KnownRun:
        """The run once it has ended, or as it is after so many seconds."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not known.is_ended and asyncio.get_running_loop().time() < deadline:
            if known.state is RunState.PAUSED:
                break
            await asyncio.sleep(_LOOK)
            known = self._view.run(known.run.id) or known
        return known

    @property
    def _partitions(self) -> int:
        count = self._view.partitions
        if not count:
            raise Unavailable("Kafka has not told of the topic of runs yet")
        return count

    async def _write(self, record: Record) -> None:
        (ack,) = await self._producer.send([record])
        await self._view.passed(ack)


def digest_of(*parts: object) -> str:
    """Names a request, so that a repeat with the same idempotency key can be told from another request."""
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()


def existing_run(view: RunView, workspace: str, run_id: str) -> KnownRun:
    """A run of a workspace by its id, or ``NotFound``."""
    found = view.run(run_id)
    if found is None or found.run.workspace != workspace:
        raise NotFound(f"There is no run {run_id}.")
    return found
