"""A tail: whole topics read from their first offset into a view, with a way to know that the view is up to date."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from backbone.kafka.admin import Admin
from backbone.kafka.consumer import BEGINNING, BatchConsumer
from schemas.model.errors import CorruptRecord, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from backbone.kafka.records import ConsumedRecord, Partition
    from backbone.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

_BATCH = 1_000
_WAIT = 0.1
"""Seconds that one ``consume`` waits for a first message."""

_IDLE_FETCH = 250
"""Milliseconds after which the broker answers a fetch that finds nothing. So late a tail notices an end with only a
marker before it; what idle tails cost the broker goes by it. Records come at once."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
"""Seconds before a consumer that failed for good is replaced; they double while the new ones fail too."""


class _Waiter(NamedTuple):
    targets: Mapping[Partition, int]
    reached: Mapping[Partition, int]
    future: Future[None]

    @property
    def is_over(self) -> bool:
        """Whether every target has been reached."""
        return all(self.reached.get(key, 0) >= target for key, target in self.targets.items())


class TopicTail:
    """Reads whole topics on a thread of its own and hands each record to ``apply``, in partition order.

    Only committed records are seen. *Caught up* means: the end as of the call, asked of the broker, has been passed; an
    end-of-partition event counts, because it alone passes commit markers and tombstones that compaction removed. It
    comes with the first fetch that finds nothing. The topics' partition counts do not change. A consumer that fails for
    good is replaced, and reading goes on where it stood.

    Args:
        settings: how to reach Kafka.
        topics: they must exist, or come to exist soon.
        apply: called on the tail's thread.
        name: of the thread, for logs.
        on_corrupt: told of a record that ``apply`` raised for; the tail goes on with the next one.
        on_advance: called on the tail's thread whenever records or ends have been passed.
        on_stall: see ``BatchConsumer``; for counting.
        one_writer: all records are written in transactions, one after the other. Then what follows the last record
            before the end is its marker, and nobody waits until that is noticed.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Sequence[str],
        apply: Callable[[ConsumedRecord], None],
        *,
        name: str,
        on_corrupt: Callable[[ConsumedRecord, CorruptRecord], None] | None = None,
        on_advance: Callable[[], None] | None = None,
        on_stall: Callable[[], None] | None = None,
        one_writer: bool = False,
    ) -> None:
        self._settings = settings
        self._topics = tuple(topics)
        self._apply = apply
        self._name = name
        self._on_corrupt = on_corrupt
        self._on_advance = on_advance
        self._on_stall = on_stall
        self._consumer: BatchConsumer | None = None
        self._admin: Admin | None = None
        self._partitions: list[Partition] = []
        self._passed: dict[Partition, int] = {}
        self._one_writer = one_writer
        self._ends: dict[Partition, int] = {} if one_writer else self._passed
        self._waiters: list[_Waiter] = []
        self._lock = threading.Lock()
        self._turn = asyncio.Lock()
        self._begun = 0
        self._completed = 0
        self._assigned = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tail-{name}", daemon=True)

    def start(self) -> None:
        """Begin to read; returns at once."""
        self._consumer = self._new_consumer()
        # The end is asked for on a connection of its own: on the consumer's it would wait behind a pending fetch.
        self._admin = Admin(self._settings)
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; who still waits is told ``Unavailable``."""
        if self._consumer is None:
            return
        self._stopping.set()
        self._thread.join()
        self._consumer.close()
        self._consumer = self._admin = None
        with self._lock:
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            _fail(waiter.future, Unavailable(f"the tail {self._name} was stopped"))

    def passed(self, topic: str, partition: int, offset: int) -> bool:
        """Whether the record at ``offset`` has been applied (or skipped as never committed)."""
        return self._passed.get((topic, partition), 0) > offset

    @property
    def known_partitions(self) -> int:
        """How many partitions are read; 0 before Kafka has said how many there are."""
        return len(self._partitions)

    async def partition_count(self, timeout: float) -> int:  # noqa: ASYNC109  # as below
        """How many partitions are read.

        Raises:
            Unavailable: Kafka does not say so within ``timeout`` seconds.
        """
        if not self._assigned.is_set():
            self._running()
            if not await asyncio.to_thread(self._assigned.wait, max(0.0, timeout)):
                raise self._behind(timeout)
        return len(self._partitions)

    async def caught_up_on(self, partitions: Collection[Partition], timeout: float) -> None:  # noqa: ASYNC109  # as below
        """``caught_up`` for some of the partitions; others may be out of reach.

        Raises:
            Unavailable: not within ``timeout`` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._await(self._ends, await self._running().end_offsets(partitions), timeout)
        except TimeoutError as error:
            raise self._behind(timeout) from error

    def catch_up(self, timeout: float = 10.0, *, written: bool = False) -> None:
        """Block until everything that could be read when this was called has been applied. Not for the event loop.

        Args:
            timeout: seconds.
            written: wait for everything that was written instead. A transaction that another producer left open hides
                what was committed behind it, and this waits until that one has ended.

        Raises:
            Unavailable: not within ``timeout`` seconds.
        """
        admin = self._running()
        if not self._assigned.wait(timeout):
            raise self._behind(timeout)
        targets = admin.end_offsets_now(self._partitions, written=written)
        try:
            self._when(self._passed if written else self._ends, targets).result(timeout)
        except TimeoutError as error:
            raise self._behind(timeout) from error

    async def caught_up(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109  # the blocking twin takes one too
        """``catch_up`` for the event loop. Calls that wait for their turn share one question to the broker."""
        arrived = self._begun
        try:
            # The turn counts too: while Kafka is away, those in front wait as long as they may.
            async with asyncio.timeout(timeout), self._turn:
                # The one that was under way when this came may have asked for the end before; a later one did not.
                if self._completed > arrived:
                    return
                self._begun += 1
                number = self._begun
                admin = self._running()
                if not self._assigned.is_set() and not await asyncio.to_thread(self._assigned.wait, timeout):
                    raise self._behind(timeout)
                await self._await(self._ends, await admin.end_offsets(self._partitions), timeout)
                self._completed = number
        except TimeoutError as error:
            raise self._behind(timeout) from error

    async def wait_past(self, topic: str, partition: int, offset: int, timeout: float = 10.0) -> None:  # noqa: ASYNC109  # as above
        """Wait until the record at ``offset``, which is known to be written, has been applied: read-your-writes.

        Raises:
            Unavailable: not within ``timeout`` seconds.
        """
        if not self.passed(topic, partition, offset):
            await self._await(self._passed, {(topic, partition): offset + 1}, timeout)

    async def _await(
        self,
        reached: Mapping[Partition, int],
        targets: Mapping[Partition, int],
        timeout: float,  # noqa: ASYNC109  # as above
    ) -> None:
        future = self._when(reached, targets)
        if future.done():
            future.result()
            return
        try:
            await asyncio.wait_for(asyncio.wrap_future(future), timeout)
        except TimeoutError as error:
            raise self._behind(timeout) from error

    def _behind(self, timeout: float) -> Unavailable:
        return Unavailable(f"the tail {self._name} did not catch up within {timeout:g} s")

    def _running(self) -> Admin:
        if self._admin is None:
            raise Unavailable(f"the tail {self._name} is not running")
        return self._admin

    def _when(self, reached: Mapping[Partition, int], targets: Mapping[Partition, int]) -> Future[None]:
        """Done when every offset of ``targets`` has been reached in ``reached``, which is kept up to date."""
        waiter = _Waiter(targets, reached, Future())
        with self._lock:
            if self._stopping.is_set():
                waiter.future.set_exception(Unavailable(f"the tail {self._name} was stopped"))
            elif waiter.is_over:
                waiter.future.set_result(None)
            else:
                self._waiters.append(waiter)
        return waiter.future

    def _run(self) -> None:
        consumer = self._consumer
        if consumer is None or not self._assign(consumer):
            return
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                messages = consumer.consume(_BATCH, _WAIT)
            except Exception as error:  # noqa: BLE001  # whatever it was: who relies on the view cannot do without it
                log.warning("tail %s: reading on with a new consumer in %g s: %r", self._name, pause, error)
                if self._stopping.wait(pause):
                    return
                pause = min(2 * pause, _LONGEST_PAUSE)
                consumer = self._renewed(consumer)
                continue
            if messages or consumer.ends:
                pause = _FIRST_PAUSE
            for message in messages:
                self._apply_one(message)
            self._advance(consumer, messages)

    def _new_consumer(self) -> BatchConsumer:
        overrides: dict[str, Any] = {"fetch.wait.max.ms": _IDLE_FETCH, "client.id": f"headrace-tail-{self._name}"}
        return BatchConsumer(self._settings, group=None, on_stall=self._on_stall, **overrides)

    def _renewed(self, failed: BatchConsumer) -> BatchConsumer:
        """Another consumer in place of one that failed for good, reading on where that one stood; itself if none."""
        try:
            renewed = self._new_consumer()
            renewed.assign({partition: self._passed.get(partition, BEGINNING) for partition in self._partitions})
        except Exception:
            log.exception("tail %s: there is no new consumer to be had yet", self._name)
            return failed
        self._consumer = renewed
        try:
            failed.close()
        except Exception:  # it is of no use any more: what reads on must not fail with it
            log.exception("tail %s: a failed consumer could not be closed", self._name)
        return renewed

    def _assign(self, consumer: BatchConsumer) -> bool:
        """Find the partitions and start reading them; waits for topics that do not exist yet, False when stopped."""
        while not self._stopping.is_set():
            try:
                found = consumer.partitions_of(self._topics)
            except Unavailable as error:
                log.warning("tail %s: %s", self._name, error)
                found = []
            if {topic for topic, _ in found} == set(self._topics):
                self._partitions = found
                consumer.assign(dict.fromkeys(found, BEGINNING))
                self._assigned.set()
                return True
            self._stopping.wait(0.1)
        return False

    def _apply_one(self, message: ConsumedRecord) -> None:
        try:
            self._apply(message)
        except Exception as error:  # one record must not stop the view that all others depend on
            corrupt = error if isinstance(error, CorruptRecord) else CorruptRecord(f"cannot be applied: {error!r}")
            where = f"{message.topic()}/{message.partition()}/{message.offset()}"
            # Poison that was set aside stays in the topic until it is compacted: every start meets it, and says so.
            log.warning("tail %s: skipped %s: %s", self._name, where, corrupt, exc_info=corrupt is not error)
            if self._on_corrupt is not None:
                self._on_corrupt(message, corrupt)

    def _advance(self, consumer: BatchConsumer, messages: Sequence[ConsumedRecord]) -> None:
        passed = consumer.passed(messages)
        if not passed:
            return
        done: list[Future[None]] = []
        with self._lock:
            _raise(self._passed, passed)
            if self._one_writer:
                _raise(self._ends, passed)
                _raise(self._ends, {(each.topic(), each.partition()): each.offset() + 2 for each in messages})
            waiting = []
            for waiter in self._waiters:
                if waiter.is_over:
                    done.append(waiter.future)
                elif not waiter.future.cancelled():
                    waiting.append(waiter)
            self._waiters = waiting
        for future in done:
            if future.set_running_or_notify_cancel():
                future.set_result(None)
        if self._on_advance is not None:
            self._on_advance()


def _raise(reached: dict[Partition, int], offsets: Mapping[Partition, int]) -> None:
    for key, offset in offsets.items():
        reached[key] = max(offset, reached.get(key, 0))


def _fail(future: Future[None], error: Exception) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)
