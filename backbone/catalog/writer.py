"""The catalog's writer: one at a time in the whole installation, by the lock that Kafka's fencing gives."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from backbone.catalog import records
from backbone.catalog.audit import ACTOR, audit_records
from backbone.catalog.bounds import WRITE_BYTES, check_size
from backbone.catalog.extension import Edits, Extensions
from backbone.kafka.records import dead_letter
from backbone.kafka.transaction import TransactionalProducer
from backbone.workspace_queue import WORKSPACE, WorkspaceQueue
from schemas.model import topics
from schemas.model.errors import Fenced, PayloadTooLarge, Unavailable
from schemas.model.ids import new_id
from schemas.security.destinations import ANYWHERE, Destinations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.bounds import CatalogBounds
    from backbone.catalog.extension import CatalogExtension
    from backbone.catalog.indexes import RegisteredSchema
    from backbone.catalog.reader import Catalog
    from backbone.catalog.view import CatalogView
    from backbone.kafka.records import Record
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.resources import Resource

log = logging.getLogger(__name__)

TRANSACTIONAL_ID = "headrace-catalog"
T = TypeVar("T")

_MOST_TOGETHER = 200
"""Queued writes that one transaction takes."""

_MOST_SECONDS = 0.05
"""To decide on the writes of one transaction; what is left waits for the next one, each workspace in its turn."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
"""Seconds to back off after the first and after many fencings, before jitter."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Changes(Generic[T]):
    """What a write does, all of it or nothing: resources to put, record keys to delete, schema versions to register.

    ``result`` is what the write returns. With nothing to change nothing is written. Schema versions come from
    ``CatalogView.next_schema`` of the view that the decision was made on.
    """

    result: T
    put: Sequence[Resource] = ()
    delete: Sequence[str] = ()
    schemas: Sequence[RegisteredSchema] = ()

    def extended(self, extension: CatalogExtension, before: CatalogView) -> Changes[T]:
        """The changes with what an extension adds to them."""
        more = extension.additions(before, Edits(self.put, self.delete))
        if not more.put and not more.delete:
            return self
        return dataclasses.replace(self, put=[*self.put, *more.put], delete=[*self.delete, *more.delete])

    def apply_to(self, draft: CatalogView) -> None:
        """Show the changes to the next write that is decided on this draft."""
        appended_at = time.time_ns() // 1_000
        for resource in self.put:
            draft.put(resource, appended_at)
        for key in self.delete:
            draft.remove(key)
        for schema in self.schemas:
            draft.put_schema(schema)

    def to_records(self, write_id: str) -> list[Record]:
        """The records that make them."""
        return [
            *(records.schema_record(schema, write_id) for schema in self.schemas),
            *(records.resource_record(resource, write_id) for resource in self.put),
            *(records.tombstone(topics.CATALOG, key.encode(), write_id) for key in self.delete),
        ]


class _Plan(NamedTuple):
    """What a write comes to: its result, the catalog's records, those of other topics, and the bytes of all."""

    result: Any
    records: list[Record]
    others: list[Record]
    size: int


@dataclasses.dataclass(kw_only=True)
class _Write:
    """One queued write; ``plan`` decides on a draft of the catalog, given the write's id."""

    plan: Callable[[CatalogView, str], _Plan]
    deadline: float
    id: str = dataclasses.field(default_factory=new_id)
    future: Future[Any] = dataclasses.field(default_factory=Future)
    result: Any = None
    error: Exception | None = None
    expected: int = 0
    in_doubt: bool = False
    size: int = 0

    def decide(self, draft: CatalogView) -> list[Record]:
        self.result, self.error, self.expected, self.in_doubt, self.size = None, None, 0, False, 0
        try:
            self.result, produced, others, self.size = self.plan(draft, self.id)
        except Exception as error:  # noqa: BLE001  # the caller's own: handed back to whoever asked for the write
            self.error = error
            return []
        self.expected = len(produced)
        return produced + others

    def settle(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)

    def fail(self, error: Exception) -> None:
        self.error = error
        self.settle()


class CatalogWriter:
    """Writes to the catalog under the installation's one writer lock, on a thread of its own.

    ``init_transactions`` fences every other writer. Only then is the catalog read to its end and the write decided, so
    a commit that succeeds was decided on everything that came before it. The holder goes on transacting until it is
    fenced. Whether an unanswered commit took is settled by taking the lock again, which completes or aborts what was
    open, reading to the end, and looking for the write's id.

    Poison that the reader has come across goes along with the next transaction: the record to ``dead-letters``, and to
    its key what the key said before.

    Args:
        catalog: this process's own reader, started.
        settings: how to reach Kafka.
        timeout: seconds after which a write is given up.
        extensions: the families' parts in every write; none for a writer that changes no family's resources.
        destinations: which URLs may be registered; None allows all, for a writer that users ask for nothing.
        bounds: how much clients may have; None for a writer that users ask for nothing.

    Attributes:
        destinations, bounds, extension: for those that decide on writes.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: KafkaSettings,
        *,
        timeout: float = 4.5,
        extensions: Sequence[CatalogExtension] = (),
        destinations: Destinations | None = None,
        bounds: CatalogBounds | None = None,
    ) -> None:
        self.destinations = destinations or Destinations(ANYWHERE)
        self._catalog = catalog
        self.extension = Extensions(extensions)
        self._settings = settings
        self._timeout = timeout
        self.bounds = bounds
        self._queue: WorkspaceQueue[_Write] = WorkspaceQueue()
        self._producer: TransactionalProducer | None = None
        self._may_hang = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="catalog-writer", daemon=True)

    def start(self) -> None:
        """Begin to take writes. The lock is taken by the first of them."""
        self._catalog.when_poisoned(self._repair_soon)
        self._thread.start()
        if self._catalog.poison:
            self._repair_soon()

    def stop(self) -> None:
        """Finish the writes that are queued and give up the producer; further ones are refused."""
        self._stopped = True
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join()

    async def write(self, decide: Callable[[CatalogView], Changes[T]]) -> T:
        """Decide on the catalog as it is under the writer lock, write what was decided, and return its result.

        When it returns, this process's own view has the changes. What ``decide`` raises is raised here and nothing is
        written. ``decide`` runs on the writer's thread, more than once if the lock is lost meanwhile: it must be quick
        and depend on nothing but the view it is given.

        Raises:
            Unavailable: it is not known to have been written within the timeout.
            PayloadTooLarge: it is larger than one write may be.
            QuotaExceeded: a client or workspace would have more than it may.
        """
        actor = ACTOR.get()

        def plan(draft: CatalogView, write_id: str) -> _Plan:
            changes = decide(draft).extended(self.extension, draft)
            if self.bounds is not None:
                self.bounds.check(draft, changes.put, delete=changes.delete, schemas=changes.schemas)
            # The size is known before anything is sent, and before the next write is decided.
            produced = changes.to_records(write_id)
            size = check_size(produced)
            events = self.extension.events(draft, Edits(changes.put, changes.delete))
            audited = audit_records(draft, changes.put, changes.delete, write_id=write_id, actor=actor)
            changes.apply_to(draft)
            return _Plan(changes.result, produced, [*audited, *events(draft)], size)

        if self._stopped:
            raise Unavailable("the catalog writer has been stopped")
        write = _Write(plan=plan, deadline=time.monotonic() + self._timeout)
        self._queue.put(WORKSPACE.get(), write)
        try:
            result: T = await asyncio.wait_for(asyncio.wrap_future(write.future), self._timeout)
        except TimeoutError as error:
            raise Unavailable(f"the catalog could not be written within {self._timeout:g} s") from error
        return result

    def _repair_soon(self) -> None:
        """Have a transaction, even if there is nothing else to write."""
        nothing = _Plan(None, [], [], 0)
        self._queue.put("", _Write(plan=lambda _draft, _id: nothing, deadline=time.monotonic() + self._timeout))

    def _repairs(self, draft: CatalogView, write_id: str) -> list[Record]:
        """Set aside what cannot be read, and restore what its key said before."""
        produced = []
        for (topic, key), poison in self._catalog.poison.items():
            produced += [
                dead_letter(poison.message, reason=poison.reason),
                records.restoring_record(draft, topic, key, write_id),
            ]
            log.warning("catalog record set aside", extra={"record": f"{topic} {key!r}", "reason": poison.reason})
        return produced

    def _run(self) -> None:
        while taken := self._queue.take(_MOST_TOGETHER):
            workspaces = {id(write): workspace for workspace, write in taken}
            writes = [write for _, write in taken]
            try:
                left = self._write_all(writes)
            except Exception as error:
                log.exception("catalog write failed")
                for write in writes:
                    if not write.future.done():
                        write.fail(error)
            else:
                self._queue.put_back([(workspaces[id(write)], write) for write in left])
        self._release()

    def _write_all(self, writes: list[_Write]) -> list[_Write]:
        """Write together; again after losing the lock, until done or given up. Returns those left for another turn."""
        fenced = 0
        while writes := self._still_wanted(writes):
            try:
                self._hold_lock()
                self._catalog.catch_up(self._timeout)
                writes = self._without_committed(writes)
                return self._transact(writes)
            except PayloadTooLarge as error:
                self._give_up_transaction()
                if len(writes) == 1:
                    writes[0].fail(error)
                    return []
                return [left for write in writes for left in self._write_all([write])]
            except Unavailable as error:
                self._release()
                self._may_hang |= not isinstance(error, Fenced)
                fenced += 1
                log.info(
                    "catalog write: trying again", extra={"reason": str(error), "fenced": isinstance(error, Fenced)}
                )
                time.sleep(random.uniform(0.3, 1) * min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**fenced))
        return []

    def _still_wanted(self, writes: list[_Write]) -> list[_Write]:
        wanted = []
        for write in writes:
            if write.future.done():
                continue
            if time.monotonic() < write.deadline:
                wanted.append(write)
            else:
                write.fail(Unavailable("the catalog could not be written in time"))
        return wanted

    def _hold_lock(self) -> None:
        if self._producer is None:
            # Only after trouble: writers that take the lock from one another in turn leave nothing hanging.
            written = [topics.CATALOG, topics.SCHEMAS] if self._may_hang else []
            producer = TransactionalProducer(
                self._settings, TRANSACTIONAL_ID, timeout=self._timeout, writes_to=written, is_lock=True
            )
            try:
                producer.start()
            except BaseException:
                producer.close()
                raise
            self._producer, self._may_hang = producer, False

    def _without_committed(self, writes: list[_Write]) -> list[_Write]:
        """Settle the writes whose unanswered commit turns out to have taken; the others are undecided again."""
        rest = []
        for write in writes:
            if write.in_doubt and self._catalog.view.records_of_write(write.id):
                write.settle()
            else:
                rest.append(write)
        return rest

    def _transact(self, writes: list[_Write]) -> list[_Write]:
        """Write in one transaction as many as fit, and return the others."""
        producer = self._producer
        if producer is None:
            return []
        draft = self._catalog.view.copy()
        repair_id = new_id()
        repairs = self._repairs(draft, repair_id)
        produced, decided = list(repairs), 0
        ends, size = time.monotonic() + _MOST_SECONDS, 0
        for decided, write in enumerate(writes, 1):  # noqa: B007  # how many there were
            produced += write.decide(draft)
            size += write.size
            if size > WRITE_BYTES or time.monotonic() > ends:
                break
        writes, left = writes[:decided], writes[decided:]
        if produced:
            producer.begin()
            for record in self._catalog.authenticity.sign(produced):
                producer.produce(record)
            for write in writes:
                write.in_doubt = write.expected > 0
            producer.commit()
        expected = {write.id: write.expected for write in writes} | {repair_id: len(repairs) // 2}
        if not self._catalog.wait_for_writes(expected, self._timeout):
            raise Unavailable("the catalog's reader has not come to what was written")
        for write in writes:
            write.settle()
        return left

    def _give_up_transaction(self) -> None:
        try:
            if self._producer is not None:
                self._producer.abort()
        except Fenced:
            self._release()

    def _release(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            producer.close()
        except Exception:  # nothing of it is open any more: what is being written must not fail with it
            log.exception("a fenced producer could not be closed")
