"""The fill levels of token buckets in a file that all workers of one machine map into memory.

A bucket is one number: the time at which it will be full again. A bucket that is full says nothing, so its slot is free
for another; nothing has to be cleaned up. Times are of the monotonic clock, which all processes of a machine share.

Writers take ``flock`` on the file, which the system releases when a process ends, however it ends. A worker that was
stopped while it held the lock does not stop the others: after some milliseconds they go on without it. Then two of them
may count the same tokens twice, which is better than not to answer.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
import struct
import time
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

SLOTS = 65_536
"""Buckets in the file: those that are not full, or have refused something of late."""

_SLOT = struct.Struct("<8sdQd")
"""Key, time at which the bucket is full, refusals, time of the last of them."""

_LEVEL = struct.Struct("<d")
_REFUSALS = struct.Struct("<Qd")
_LEVEL_AT, _REFUSALS_AT = 8, 16
_KEY_BYTES = 8
_EMPTY = bytes(_KEY_BYTES)
_PROBES = 32

REMEMBERED = 600.0
"""Seconds for which refusals are remembered after the last of them."""

_TRIES, _PAUSE = 40, 0.000_25
"""How often a lock that another process holds is tried for, and the seconds between."""


class Level(NamedTuple):
    """How a bucket stands.

    Attributes:
        full_at: when it will be full, by the monotonic clock; in the past: it is full.
        refused: requests, as far as they are remembered.
        refused_at: when the last was, likewise; 0: never.
    """

    full_at: float
    refused: int
    refused_at: float


FULL = Level(0.0, 0, 0.0)


def bucket_key(*parts: str) -> bytes:
    """The key of a bucket, from names that are unique together."""
    key = blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()
    return key if key != _EMPTY else b"\1" * _KEY_BYTES


class SharedBuckets:
    """The buckets of one machine. Open it in the process that uses it: a lock belongs to whoever opened the file.

    Where the file cannot be had, each worker counts for itself, and the log says so.

    Args:
        path: of the file; it is created.
    """

    def __init__(self, path: Path) -> None:
        self._file = -1
        size = SLOTS * _SLOT.size
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._file, size)
            self._memory = mmap.mmap(self._file, size)
        except OSError as error:
            log.warning("quotas are counted by each worker alone", extra={"path": str(path), "reason": str(error)})
            self._memory = mmap.mmap(-1, size)

    def close(self) -> None:
        """Unmap the file."""
        self._memory.close()
        if self._file >= 0:
            os.close(self._file)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from changing buckets, for the length of a with block of some microseconds."""
        held = self._file >= 0 and self._lock()
        try:
            yield
        finally:
            if held:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _lock(self) -> bool:
        for _ in range(_TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(_PAUSE)
            else:
                return True
        return False

    def level(self, key: bytes) -> Level:
        """How a bucket stands."""
        # Most are where they belong: to look there first costs a third.
        found, full_at, refused, refused_at = _SLOT.unpack_from(self._memory, _home(key))
        if found == key:
            return Level(full_at, refused, refused_at)
        for at in self._places(key):
            found, full_at, refused, refused_at = _SLOT.unpack_from(self._memory, at)
            if found == key:
                return Level(full_at, refused, refused_at)
        return FULL

    def fill(self, key: bytes, full_at: float, now: float) -> None:
        """Set when a bucket will be full; to be called with the lock."""
        _LEVEL.pack_into(self._memory, self._slot(key, now) + _LEVEL_AT, full_at)

    def refuse(self, key: bytes, now: float) -> None:
        """Count a refusal; to be called with the lock."""
        at = self._slot(key, now) + _REFUSALS_AT
        refused, _ = _REFUSALS.unpack_from(self._memory, at)
        _REFUSALS.pack_into(self._memory, at, refused + 1, now)

    def _slot(self, key: bytes, now: float) -> int:
        """Where a bucket is. A new one takes the slot that first said nothing any more, or that soonest will."""
        home = _home(key)
        if self._memory[home : home + _KEY_BYTES] == key:
            return home
        best, best_until = home, float("inf")
        for at in self._places(key):
            found, full_at, _, refused_at = _SLOT.unpack_from(self._memory, at)
            if found == key:
                return at
            # After the machine has started again, its clock begins at 0, and what the file says is in the future.
            until = 0.0 if found == _EMPTY or refused_at > now else max(full_at, refused_at and refused_at + REMEMBERED)
            if until < best_until:
                best, best_until = at, until
        _SLOT.pack_into(self._memory, best, key, 0.0, 0, 0.0)
        return best

    @staticmethod
    def _places(key: bytes) -> Iterator[int]:
        first = _home(key)
        return ((first + probe * _SLOT.size) % (SLOTS * _SLOT.size) for probe in range(_PROBES))


def _home(key: bytes) -> int:
    return int.from_bytes(key, "little") % SLOTS * _SLOT.size
