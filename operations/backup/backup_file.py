"""The file of a backup: a line that says what it is, then a record of Kafka on each line, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from operations.errors import WrongUsage
from operations.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line.

    Attributes:
        headrace_backup: version of the format.
        taken_at: RFC 3339.
        records: how many follow; a file with fewer was cut off.
    """

    headrace_backup: int = 1
    taken_at: str
    records: int


class StoredRecord(msgspec.Struct, frozen=True):
    """A record as it was in Kafka, also for whoever checks its MAC; bytes are base64 in the file."""

    stored_topic: str
    stored_key: bytes
    stored_value: bytes
    stored_headers: list[tuple[str, bytes]]

    def topic(self) -> str:
        """Name of the topic."""
        return self.stored_topic

    def partition(self) -> int:
        """Both topics have one."""
        return 0

    def offset(self) -> int:
        """Not kept: it is another one after a restore."""
        return 0

    def key(self) -> bytes:
        """Its key."""
        return self.stored_key

    def value(self) -> bytes:
        """Its value."""
        return self.stored_value

    def headers(self) -> list[tuple[str, bytes]]:
        """In the order written."""
        return self.stored_headers

    def set_headers(self, headers: list[tuple[str, bytes]]) -> None:
        """Headers are never replaced."""

    def timestamp(self) -> tuple[int, int]:
        """Not kept."""
        return 0, 0


def save(path: Path, head: Head, records: Sequence[StoredRecord]) -> None:
    """Write a backup, readable by its owner only.

    Raises:
        WrongUsage: the file is there already, or cannot be written.
    """
    if path.exists():
        raise WrongUsage(f"{path} is there already. Give another name.")
    draft = path.with_name(f".{path.name}.part")
    try:
        write_private(draft, "".join(msgspec.json.encode(each).decode() + "\n" for each in (head, *records)))
        draft.rename(path)
    except OSError as error:
        raise WrongUsage(f"{path} cannot be written: {error.strerror}.") from error


def load(path: Path) -> tuple[Head, list[StoredRecord]]:
    """Read a backup.

    Raises:
        WrongUsage: it is not there, is no backup, or is not whole.
    """
    try:
        with path.open("rb") as lines:
            head = msgspec.json.decode(next(lines, b""), type=Head)
            decoder = msgspec.json.Decoder(StoredRecord)
            records = [decoder.decode(line) for line in lines]
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise WrongUsage(f"{path} is no backup, or is broken: {error}") from error
    if head.headrace_backup != 1 or len(records) != head.records:
        raise WrongUsage(f"{path} is not whole: it has {len(records):,} of {head.records:,} records.")
    return head, records
