"""Event files: where the file sink publishes them, and where their endpoint lists, reads and deletes them.

A chain is what one publisher sent to one endpoint through one partition of ``deliveries.file``. Its files follow each
other without a gap or an overlap, because a file's name holds the offset of its first record and is created
exclusively: of two sinks that go on from the same place one succeeds, and the other learns that it was overtaken.

On a file system an endpoint has a directory; a published file is a regular file in it. A mark beside the files
(``file_marks``) says up to which offset a chain's files were deleted, so that the chain still goes on after them.
Earlier versions left a symbolic link to the last offset in the place of each deleted file: those become marks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from backbone.event_file_marks import DeletedFiles, sync
from schemas.model.errors import AlreadyExists, Misconfigured, NotFound, StorageUnavailable
from schemas.model.topics import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_NAME = re.compile(r"(?P<first>\d{20})-p(?P<partition>\d+)-(?P<publisher>[\w-]+)\.jsonl", re.ASCII)
_DRAFTS = ".drafts"
_DRAFT_AGE = 3_600.0
"""Seconds after which a file that was not published is nobody's any more."""
_LONGEST_SEGMENT = 120
_TAIL = 65_536
"""Bytes at the end of a file in which its last line is looked for first."""


class Chain(NamedTuple):
    """What one publisher sent to one endpoint through one partition; the ids as they are in the catalog."""

    endpoint: str
    publisher: str
    partition: int


class _Entry(NamedTuple):
    name: str
    first: int
    partition: int
    publisher: str
    deleted: bool


class _Line(msgspec.Struct):
    offset: int


class EventFiles:
    """Files in a directory, on this machine or on a file system that all planes share.

    All methods raise ``StorageUnavailable`` when the file system refuses: it is full, missing, or may not be written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._drafts = root / _DRAFTS

    def publish(self, chain: Chain, first: int, lines: Iterable[bytes]) -> str:
        """Publish a file, all of it or nothing; its name. When this returns it is on the disk.

        Args:
            chain: that it goes on.
            first: offset of its first line's record.
            lines: JSON objects with a member ``offset``, each ending in a line feed; at least one.

        Raises:
            AlreadyExists: another sink has published from this offset on.
        """
        directory = self._directory(chain.endpoint)
        name = f"{first:020d}-p{chain.partition}-{_segment(chain.publisher)}.jsonl"
        draft = self._drafts / str(uuid.uuid4())
        with _storage(directory / name):
            self._make(directory)
            try:
                _check_not_deleted(directory, name, first)
                with draft.open("xb") as file:
                    file.writelines(lines)
                    file.flush()
                    os.fsync(file.fileno())
                try:
                    (directory / name).hardlink_to(draft)
                except FileExistsError as error:
                    raise AlreadyExists(f"{chain.endpoint}/{name} was published by another sink") from error
            finally:
                draft.unlink(missing_ok=True)
            try:
                # It may have been published by another sink and deleted just now.
                _check_not_deleted(directory, name, first)
            except AlreadyExists:
                (directory / name).unlink(missing_ok=True)
                raise
            sync(directory)
        return name

    def last_offsets(self, endpoint: str, partition: int) -> dict[str, int]:
        """The offset up to which each chain of an endpoint and partition has been published, by ``publisher_key``."""
        latest: dict[str, _Entry] = {}
        directory = self._directory(endpoint)
        with _storage(directory):
            for entry in _entries(directory):
                known = latest.get(entry.publisher)
                if entry.partition == partition and (known is None or known.first < entry.first):
                    latest[entry.publisher] = entry
            found = {publisher: _last_offset(directory, entry) for publisher, entry in latest.items()}
            for publisher, last in DeletedFiles(directory).last_offsets(partition).items():
                found[publisher] = max(last, found.get(publisher, -1))
            return found

    def names(self, endpoint: str, limit: int) -> list[str]:
        """The names of an endpoint's files, oldest first, at most ``limit``; the order stays as it is."""
        directory = self._directory(endpoint)
        aged = []
        with _storage(directory):
            for entry in _entries(directory):
                if not entry.deleted:
                    with contextlib.suppress(FileNotFoundError):
                        aged.append((os.lstat(directory / entry.name).st_mtime_ns, entry.name))
        return [name for _, name in sorted(aged)[:limit]]

    def open(self, endpoint: str, name: str) -> BinaryIO:
        """A file's content, to be closed by the caller; it stays readable when the file is deleted meanwhile.

        Raises:
            NotFound: the endpoint has no such file.
        """
        path = self._path(endpoint, name)
        with _storage(path):
            if path.is_symlink():
                raise _missing(name)
            try:
                return path.open("rb")
            except FileNotFoundError as error:
                raise _missing(name) from error

    def delete(self, endpoint: str, name: str) -> None:
        """Take a file off the list for good; its chain goes on after it.

        Raises:
            NotFound: the endpoint has no such file.
        """
        path = self._path(endpoint, name)
        with _storage(path):
            entry = _entry(path.name, deleted=path.is_symlink())
            if entry is None or entry.deleted or not path.exists():
                raise _missing(name)
            _turn_links_into_marks(path.parent)
            last = _last_offset(path.parent, entry)
            DeletedFiles(path.parent).mark(entry.partition, entry.publisher, last)
            try:
                path.unlink()
            except FileNotFoundError as error:
                raise _missing(name) from error
            sync(path.parent)

    def redact(self, endpoint: str, is_wanted: Callable[[bytes], bool]) -> int:
        """Write an endpoint's files anew without some events; returns how many files that were.

        A line keeps its ``offset``, so the chain goes on after it, and says ``redacted``.

        Args:
            endpoint: its id.
            is_wanted: whether a line is one of the events.
        """
        changed = 0
        directory = self._directory(endpoint)
        with _storage(directory):
            for entry in list(_entries(directory)):
                if not entry.deleted:
                    with contextlib.suppress(FileNotFoundError):
                        changed += self._redact(directory / entry.name, is_wanted)
        return changed

    def _redact(self, path: Path, is_wanted: Callable[[bytes], bool]) -> bool:
        with path.open("rb") as file:
            if not any(map(is_wanted, file)):
                return False
            age = os.fstat(file.fileno())
            file.seek(0)
            draft = self._drafts / str(uuid.uuid4())
            try:
                with draft.open("xb") as copy:
                    copy.writelines(_redacted(line) if is_wanted(line) else line for line in file)
                    copy.flush()
                    os.fsync(copy.fileno())
                # Files are listed in the order of their ages.
                os.utime(draft, ns=(age.st_atime_ns, age.st_mtime_ns))
                if not path.exists():
                    return False  # deleted meanwhile
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
        sync(path.parent)
        return True

    def sweep(self) -> None:
        """Remove what sinks that were killed left unpublished."""
        with _storage(self._root):
            self._drafts.mkdir(parents=True, exist_ok=True)
            for draft in os.scandir(self._drafts):
                with contextlib.suppress(FileNotFoundError):
                    if draft.stat(follow_symlinks=False).st_mtime < time.time() - _DRAFT_AGE:
                        Path(draft).unlink()

    def _make(self, directory: Path) -> None:
        self._drafts.mkdir(parents=True, exist_ok=True)
        if not directory.exists():
            directory.mkdir(exist_ok=True)
            sync(self._root)
        _turn_links_into_marks(directory)

    def _directory(self, endpoint: str) -> Path:
        return self._root / _segment(endpoint)

    def _path(self, endpoint: str, name: str) -> Path:
        """Raises ``NotFound`` for what is not a file's name, so that no name leads elsewhere."""
        if _NAME.fullmatch(name) is None:
            raise _missing(name)
        return self._directory(endpoint) / name


def event_files(url: str) -> EventFiles:
    """The storage at ``HEADRACE_FILES_URL``: ``file:///<absolute path>``.

    Raises:
        Misconfigured: another kind of URL.
    """
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise Misconfigured(f"HEADRACE_FILES_URL must be file:///<absolute path>, not {url}")
    return EventFiles(Path(unquote(parts.path)))


def publisher_key(publisher: str) -> str:
    """A publisher's id as it stands in file names."""
    return _segment(publisher)


def _redacted(line: bytes) -> bytes:
    offset = msgspec.json.decode(line, type=_Line).offset
    return msgspec.json.encode({"offset": offset, "redacted": True}) + b"\n"


def _segment(name: str) -> str:
    """One segment of a path, and no dots in it; a long name ends in a hash of the whole."""
    # Escaping gives no lone underscore: it stands for no name at all.
    escaped = escape(name) or "_"
    if len(escaped) <= _LONGEST_SEGMENT:
        return escaped
    return f"{escaped[: _LONGEST_SEGMENT - 33]}_{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _entries(directory: Path) -> Iterator[_Entry]:
    """The files of an endpoint, deleted ones too; none where it has no directory yet."""
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as found:
        for each in found:
            entry = _entry(each.name, deleted=each.is_symlink())
            if entry is not None:
                yield entry


def _entry(name: str, *, deleted: bool) -> _Entry | None:
    parts = _NAME.fullmatch(name)
    if parts is None:
        return None
    return _Entry(name, int(parts["first"]), int(parts["partition"]), parts["publisher"], deleted)


def _last_offset(directory: Path, entry: _Entry) -> int:
    path = directory / entry.name
    try:
        if not entry.deleted:
            with path.open("rb") as file:
                return msgspec.json.decode(_last_line(file), type=_Line).offset
    except FileNotFoundError:
        pass  # deleted since the directory was read
    except msgspec.MsgspecError as error:
        raise StorageUnavailable(f"event files: {path} does not end in an event: {error}") from error
    return int(path.readlink().name)


def _last_line(file: BinaryIO) -> bytes:
    end = file.seek(0, os.SEEK_END)
    size = min(_TAIL, end)
    while True:
        file.seek(end - size)
        head, separator, line = file.read(size).removesuffix(b"\n").rpartition(b"\n")
        if separator or size == end:
            return line if separator else head + line
        size = min(size * 8, end)


def _check_not_deleted(directory: Path, name: str, first: int) -> None:
    """Raises ``AlreadyExists`` if a file of the chain from this offset on was published and deleted."""
    entry = _entry(name, deleted=False)
    if entry is not None and first <= DeletedFiles(directory).last_offset(entry.partition, entry.publisher):
        raise AlreadyExists(f"{directory.name}/{name} was published by another sink, and is deleted")


def _turn_links_into_marks(directory: Path) -> None:
    """Mark once what an earlier version deleted."""
    marks = DeletedFiles(directory)
    if not marks.is_new:
        return
    links = [entry for entry in _entries(directory) if entry.deleted]
    last: dict[tuple[int, str], int] = {}
    for entry in links:
        chain = (entry.partition, entry.publisher)
        last[chain] = max(_last_offset(directory, entry), last.get(chain, -1))
    for (partition, publisher), offset in last.items():
        marks.mark(partition, publisher, offset)
    for entry in links:
        (directory / entry.name).unlink(missing_ok=True)
    marks.prepare()


def _missing(name: str) -> NotFound:
    return NotFound(f"There is no file {name}.")


@contextlib.contextmanager
def _storage(path: Path) -> Iterator[None]:
    """Tell a refusal of the file system apart; where it does not say what it refused, it was this."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"event files: {error.strerror or error} ({error.filename or path})") from error
