"""A process's own copy of the catalog, kept up to date by tailing the topics."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from backbone.catalog import records
from backbone.catalog.authenticity import MARKER_KEY, Authenticity
from backbone.catalog.macs import MacKeys
from backbone.catalog.view import CatalogView
from backbone.kafka.tail import TopicTail
from schemas.model import topics
from schemas.model.errors import Forged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backbone.kafka.records import ConsumedRecord
    from backbone.kafka.settings import KafkaSettings
    from schemas.model.errors import CorruptRecord

log = logging.getLogger(__name__)

T = TypeVar("T")

_LONGEST_KEY = 65_536
"""Bytes of a record's key. No record of ours has a longer one, so that there is nothing to restore."""


_SHOWN = 300
"""Bytes of a key in a message."""


class Poison(NamedTuple):
    """A record of the catalog that cannot be read or does not count, and why."""

    message: ConsumedRecord
    reason: str
    forged: bool


class Catalog:
    """Reads ``catalog`` and ``_schemas`` into a ``CatalogView`` on a thread of its own.

    A poison record leaves the view as it was; it is remembered until a good record or a tombstone replaces it, which is
    what a ``CatalogWriter`` sees to. A record that does not count (``Authenticity``) is poison too.

    Args:
        settings: how to reach Kafka.
        secret_keys: ``HEADRACE_SECRET_KEYS``; records count that one of them signed.
        on_forged: called for each record that does not count, on the reader's thread; for counting.
        set_aside: told of each poison record as it is read, on the reader's thread; for counting.
        on_stall: see ``BatchConsumer``; for counting.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        secret_keys: Sequence[str],
        *,
        on_forged: Callable[[], None] | None = None,
        set_aside: Callable[[ConsumedRecord, str], None] | None = None,
        on_stall: Callable[[], None] | None = None,
    ) -> None:
        self.view = CatalogView()
        self.authenticity = Authenticity(MacKeys(secret_keys))
        self._on_forged = on_forged
        self._is_loaded = False
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
            one_writer=True,
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
            Misconfigured: the first time only: the secret keys are not the installation's.
        """
        self._tail.catch_up(timeout)
        self._loaded()

    async def caught_up(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109  # the blocking twin takes one too
        """``catch_up`` for the event loop."""
        await self._tail.caught_up(timeout)
        self._loaded()

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

    def _apply(self, message: ConsumedRecord) -> None:
        is_catalog = message.topic() == topics.CATALOG
        if is_catalog:
            self.authenticity.judge(message)
        write_id = records.write_id_of(message)
        try:
            records.apply(self.view, message)
            self._poison.pop(_place(message), None)
            if is_catalog and message.key() == MARKER_KEY.encode():
                self._apply_marker()
        finally:
            # Counted even when it cannot be read: the writer asks whether its transaction committed, no more.
            if write_id is not None and (is_catalog or self.authenticity.is_ours(message)):
                self.view.note_write(write_id)
            with self._applied:
                self._applied.notify_all()

    def _apply_marker(self) -> None:
        self.authenticity.apply_marker(self.view.get(MARKER_KEY))
        if self.authenticity.complete:
            # Those of before have all been signed: what still has no MAC was added.
            for key in list(self.authenticity.unsigned):
                self.authenticity.unsigned.pop(key)
                self.view.remove(key)

    def _remember(self, message: ConsumedRecord, error: CorruptRecord) -> None:
        if isinstance(error, Forged):
            self._refuse(message, error)
            return
        place = _place(message)
        # In place of a tombstone that cannot be read only another one could be written, and so on for ever.
        if len(place[1]) <= _LONGEST_KEY and message.value() is not None:
            self._poison[place] = Poison(message, str(error), forged=False)
        if self._set_aside is not None:
            self._set_aside(message, str(error))
        if self._on_poison is not None:
            self._on_poison()

    def _refuse(self, message: ConsumedRecord, error: Forged) -> None:
        """Keep the last good state, and have a writer put it back into the log, where compaction would lose it."""
        place = _place(message)
        known = self.view.get(place[1].decode(errors="replace")) is not None
        if error.unknown_key or len(place[1]) > _LONGEST_KEY:
            pass  # This process is behind with its keys, or nothing of ours has this record key.
        elif message.value() is None and not known:
            self._poison.pop(place, None)
        else:
            self._poison[place] = Poison(message, str(error), forged=True)
        if not self._is_loaded:
            # A later record may replace it: after a rotation, records of the old key are still in the log.
            return
        self._alert(message, str(error))
        if self._on_poison is not None:
            self._on_poison()

    def _alert(self, message: ConsumedRecord, reason: str) -> None:
        if self._on_forged is not None:
            self._on_forged()
        extra = {"record": f"{message.topic()} {(message.key() or b'')[:_SHOWN]!r}", "offset": message.offset()}
        log.error("ALERT: a catalog record does not count: %s", reason, extra=extra)

    def _loaded(self) -> None:
        """Report what was found while reading from the first record, once."""
        if self._is_loaded:
            return
        self.authenticity.check_keys()
        self._is_loaded = True
        for poison in self.poison.values():
            if poison.forged:
                self._alert(poison.message, poison.reason)


def _place(message: ConsumedRecord) -> tuple[str, bytes]:
    return message.topic(), message.key() or b""
