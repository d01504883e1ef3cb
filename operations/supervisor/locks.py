"""A directory that only one process at a time may use."""

from __future__ import annotations

import fcntl
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class DirectoryLock:
    """A locked file. The kernel takes the lock back when the process that holds it ends, however that happens."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self) -> bool:
        """Hold it until ``give_back``; False when another process does, or another lock of this one."""
        file = self._path.open("a", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def give_back(self) -> None:
        """Let others have it; nothing when it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None
