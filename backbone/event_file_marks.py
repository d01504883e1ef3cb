"""How far the deleted event files of a chain went: one empty file for each chain, whose name is the last offset.

So it does not matter how many files were deleted. The mark is on the disk before its file goes. Of two that are written
at once the greater one stays.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_DELETED = ".deleted"
_CHAIN = re.compile(r"p(?P<partition>\d+)-(?P<publisher>[\w-]+)", re.ASCII)
_MARK = re.compile(r"\d{20}", re.ASCII)


class DeletedFiles:
    """The marks in an endpoint's directory; all methods raise ``OSError``.

    Args:
        directory: of the endpoint.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._marks = directory / _DELETED

    @property
    def is_new(self) -> bool:
        """Whether nothing has been marked in this directory yet."""
        return not self._marks.exists()

    def prepare(self) -> None:
        """From now on the directory has marks."""
        self._marks.mkdir(parents=True, exist_ok=True)
        sync(self._directory)

    def last_offset(self, partition: int, publisher: str) -> int:
        """The offset up to which files of a chain were deleted; -1 if none was."""
        return max(_offsets(self._chain(partition, publisher)), default=-1)

    def last_offsets(self, partition: int) -> dict[str, int]:
        """The same of all chains of a partition of which files were deleted, by publisher."""
        found = {}
        with contextlib.suppress(FileNotFoundError), os.scandir(self._marks) as chains:
            for each in chains:
                chain = _CHAIN.fullmatch(each.name)
                if chain is not None and int(chain["partition"]) == partition:
                    found[chain["publisher"]] = self.last_offset(partition, chain["publisher"])
        return found

    def mark(self, partition: int, publisher: str, last: int) -> None:
        """Note that files of a chain were deleted, up to the one that ends at this offset."""
        chain = self._chain(partition, publisher)
        if not chain.is_dir():
            chain.mkdir(parents=True, exist_ok=True)
            sync(self._directory)
            sync(self._marks)
        (chain / f"{last:020d}").touch()
        sync(chain)
        for older in _offsets(chain):
            if older < last:
                (chain / f"{older:020d}").unlink(missing_ok=True)

    def _chain(self, partition: int, publisher: str) -> Path:
        return self._marks / f"p{partition}-{publisher}"


def sync(directory: Path) -> None:
    """Have the names in a directory on the disk."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _offsets(chain: Path) -> list[int]:
    try:
        return [int(each.name) for each in chain.iterdir() if _MARK.fullmatch(each.name)]
    except FileNotFoundError:
        return []
