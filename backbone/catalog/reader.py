"""A process's own copy of the catalog, kept up to date by tailing the topics."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from backbone.catalog import records
from backbone.catalog.view import CatalogView
from backbone.kafka.tail import TopicTail
from schemas import topics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backbone.kafka.records import Message
    from backbone.kafka.settings import KafkaSettings
    from schemas.errors import CorruptRecord

T = TypeVar("T")

_LONGEST_KEY = 65_536
"""Bytes of a record's key. No record of ours has a longer one, so that there is nothing to restore."""


class Poison(NamedTuple):
    """A record of the catalog that cannot be read, and why."""

    message: Message
    reason: str


class Catalog:
    """Reads ``catalog`` and ``_schemas`` into a ``CatalogView`` on a thread of its own.

    A poison record leaves the view as it was; it is remembered until a good record or a tombstone replaces it, which is
    what a ``CatalogWriter`` sees to.

    Args:
        settings: how to reach Kafka.
        set_aside: told of each poison record as it is read, on the reader's thread; for counting.
        on_stall: see ``BatchConsumer``; for counting.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        set_aside: Callable[[Message, str], None] | None = None,
        on_stall: Callable[[], None] | None = None,
    ) -> None:
        self.view = CatalogView()
        self._set_aside = set_aside
        self._poison: dict[tuple[str, bytes], Poison] = {}
        self._on_poison: Callable[[], None] | None = None
        self._applied = threading.Condition()
        self._tail = TopicTail(
            settings,
            [topics.CATALOG, topics.SCHEMAS],
            self._apply,
            name="catalog",
            on_corrupt=self._remember,
            on_stall=on_stall,
        )

    def start(self) -> None:
        """Begin to read; returns at once. Wait for ``catch_up`` or ``caught_up`` before relying on the view."""
        self._tail.start()

    def stop(self) -> None:
        """Stop reading."""
        self._tail.stop()

    def catch_up(self, timeout: float = 10.0) -> None:
        """Block until everything committed before this call is in the view. Not for the event loop.

        Raises:
            Unavailable: not within ``timeout`` seconds.
        """
        self._tail.catch_up(timeout)

    async def caught_up(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109  # the blocking twin takes one too
        """``catch_up`` for the event loop."""
        await self._tail.caught_up(timeout)

    async def lookup(self, find: Callable[[CatalogView], T | None]) -> T | None:
        """What ``find`` finds in the view; when it finds nothing, the view is brought up to date and asked once more.

        Raises:
            Unavailable: Kafka cannot say whether there is more to read.
        """
        found = find(self.view)
        if found is None:
            await self.caught_up()
            found = find(self.view)
        return found

    @property
    def poison(self) -> dict[tuple[str, bytes], Poison]:
        """The poison records that nothing has replaced yet, by topic and key."""
        return self._poison.copy()

    def when_poisoned(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called, on the reader's thread, for each poison record from now on."""
        self._on_poison = callback

    def wait_for_writes(self, expected: Mapping[str, int], timeout: float) -> bool:
        """Block until the view has that many records of each write id; False when not within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        with self._applied:
            while not all(self.view.records_of_write(each) >= count for each, count in expected.items()):
                left = deadline - time.monotonic()
                if left <= 0 or not self._applied.wait(left):
                    return False
        return True

    def _apply(self, message: Message) -> None:
        write_id = records.write_id_of(message)
        try:
            records.apply(self.view, message)
            self._poison.pop(_place(message), None)
        finally:
            # Counted even when it cannot be read: the writer asks whether its transaction committed, no more.
            if write_id is not None:
                self.view.note_write(write_id)
            with self._applied:
                self._applied.notify_all()

    def _remember(self, message: Message, error: CorruptRecord) -> None:
        place = _place(message)
        # In place of a tombstone that cannot be read only another one could be written, and so on for ever.
        if len(place[1]) <= _LONGEST_KEY and message.value() is not None:
            self._poison[place] = Poison(message, str(error))
        if self._set_aside is not None:
            self._set_aside(message, str(error))
        if self._on_poison is not None:
            self._on_poison()


def _place(message: Message) -> tuple[str, bytes]:
    return str(message.topic()), message.key() or b""
