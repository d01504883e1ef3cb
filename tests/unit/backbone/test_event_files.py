from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import pytest

from backbone.event_files import Chain, EventFiles, event_files, publisher_key
from schemas.model.errors import AlreadyExists, Misconfigured, NotFound, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHAIN = Chain("endpoint", "client.1", 3)


@pytest.fixture
def files(tmp_path: Path) -> EventFiles:
    return EventFiles(tmp_path / "files")


def lines(*offsets: int, padding: int = 0) -> list[bytes]:
    return [json.dumps({"offset": offset, "data": "x" * padding}).encode() + b"\n" for offset in offsets]


def content(files: EventFiles, name: str, endpoint: str = "endpoint") -> bytes:
    with files.open(endpoint, name) as file:
        return file.read()


def test_a_published_file_is_listed_and_read(files: EventFiles) -> None:
    name = files.publish(CHAIN, 7, lines(7, 9))
    assert name == "00000000000000000007-p3-client_2e1.jsonl"
    assert files.names("endpoint", 10) == [name]
    assert content(files, name) == b"".join(lines(7, 9))


def test_nobody_has_files_before_the_first(files: EventFiles) -> None:
    assert files.names("endpoint", 10) == []
    assert files.last_offsets("endpoint", 0) == {}


def test_the_same_offset_is_published_once(files: EventFiles) -> None:
    name = files.publish(CHAIN, 7, lines(7, 9))
    with pytest.raises(AlreadyExists):
        files.publish(CHAIN, 7, lines(7, 8, 9))
    assert content(files, name) == b"".join(lines(7, 9))


def test_other_chains_may_publish_the_same_offset(files: EventFiles) -> None:
    for chain in (CHAIN, CHAIN._replace(publisher="other"), CHAIN._replace(partition=4), CHAIN._replace(endpoint="e")):
        files.publish(chain, 7, lines(7))
    assert len(files.names("endpoint", 10)) == 3
    assert len(files.names("e", 10)) == 1


def test_the_oldest_files_are_listed_first(files: EventFiles) -> None:
    names = [files.publish(CHAIN, first, lines(first)) for first in (10, 20)]
    # Another publisher's events came earlier, and its file was cut later.
    names.append(files.publish(CHAIN._replace(publisher="slow"), 5, lines(5)))
    assert files.names("endpoint", 10) == names
    assert files.names("endpoint", 2) == names[:2]


@pytest.mark.parametrize("padding", [0, 100_000, 1_000_000])
def test_a_chain_goes_on_after_its_last_file(files: EventFiles, padding: int) -> None:
    files.publish(CHAIN, 7, lines(7, 9, padding=padding))
    files.publish(CHAIN, 12, lines(12, 15, padding=padding))
    files.publish(CHAIN._replace(publisher="other"), 8, lines(8, padding=padding))
    files.publish(CHAIN._replace(partition=4), 99, lines(99))
    assert files.last_offsets("endpoint", 3) == {publisher_key("client.1"): 15, "other": 8}


def test_a_deleted_file_is_gone_and_its_chain_goes_on_after_it(files: EventFiles) -> None:
    name = files.publish(CHAIN, 7, lines(7, 9))
    files.delete("endpoint", name)
    assert files.names("endpoint", 10) == []
    with pytest.raises(NotFound):
        files.open("endpoint", name)
    with pytest.raises(NotFound):
        files.delete("endpoint", name)
    assert files.last_offsets("endpoint", 3) == {"client_2e1": 9}


def test_the_name_of_a_deleted_file_stays_taken(files: EventFiles) -> None:
    files.delete("endpoint", files.publish(CHAIN, 7, lines(7, 9)))
    with pytest.raises(AlreadyExists):
        files.publish(CHAIN, 7, lines(7, 8))
    assert files.names("endpoint", 10) == []


def test_a_file_that_is_being_read_may_be_deleted(files: EventFiles) -> None:
    name = files.publish(CHAIN, 7, lines(7, 9))
    with files.open("endpoint", name) as file:
        files.delete("endpoint", name)
        assert file.read() == b"".join(lines(7, 9))


def test_what_is_kept_of_deleted_files_does_not_grow_with_them(files: EventFiles, tmp_path: Path) -> None:
    kept = []
    for first in range(50):
        files.delete("endpoint", files.publish(CHAIN, first, lines(first)))
        kept.append(len(list((tmp_path / "files" / "endpoint").rglob("*"))))
    assert set(kept) == {3}
    assert files.last_offsets("endpoint", 3) == {"client_2e1": 49}
    assert files.last_offsets("endpoint", 4) == {}


def test_a_sink_that_was_held_up_publishes_no_deleted_file_again(files: EventFiles) -> None:
    names = [files.publish(CHAIN, first, lines(first, first + 4)) for first in (0, 5, 10)]
    files.delete("endpoint", names[1])
    files.delete("endpoint", names[0])
    for first in (0, 3, 5, 9):
        with pytest.raises(AlreadyExists):
            files.publish(CHAIN, first, lines(first))
    assert files.names("endpoint", 10) == [names[2]]
    assert files.last_offsets("endpoint", 3) == {"client_2e1": 14}


def test_a_file_that_was_published_and_deleted_in_between_stays_deleted(
    files: EventFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = EventFiles(tmp_path / "files")
    link = type(tmp_path).hardlink_to

    def overtaken(path: Path, target: Path) -> None:
        monkeypatch.undo()
        other.delete("endpoint", other.publish(CHAIN, 7, lines(7, 9)))
        link(path, target)

    monkeypatch.setattr(type(tmp_path), "hardlink_to", overtaken)
    with pytest.raises(AlreadyExists):
        files.publish(CHAIN, 7, lines(7))
    assert files.names("endpoint", 10) == []


def test_what_an_earlier_version_deleted_stays_deleted(files: EventFiles, tmp_path: Path) -> None:
    directory = tmp_path / "files" / "endpoint"
    directory.mkdir(parents=True)
    for first in (7, 9):
        (directory / f"{first:020d}-p3-client_2e1.jsonl").symlink_to(str(first + 1))
    assert files.last_offsets("endpoint", 3) == {"client_2e1": 10}
    name = files.publish(CHAIN, 11, lines(11))
    assert [path.name for path in directory.glob("*.jsonl")] == [name]
    assert files.last_offsets("endpoint", 3) == {"client_2e1": 11}
    with pytest.raises(AlreadyExists):
        files.publish(CHAIN, 9, lines(9))
    files.delete("endpoint", name)
    assert files.last_offsets("endpoint", 3) == {"client_2e1": 11}


def test_a_refused_file_is_named(files: EventFiles, tmp_path: Path) -> None:
    def full() -> Iterator[bytes]:
        yield from lines(7)
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "files" / "endpoint" / "00000000000000000007-p3-client_2e1.jsonl"
    with pytest.raises(StorageUnavailable) as caught:
        files.publish(CHAIN, 7, full())
    assert str(caught.value) == f"event files: No space left on device ({path})"
    assert files.names("endpoint", 10) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../endpoint/x", "a" * 5_000, "\0", f"{7:020d}-p3-..jsonl"])
def test_no_name_leads_out_of_an_endpoints_files(files: EventFiles, name: str) -> None:
    files.publish(CHAIN, 7, lines(7))
    with pytest.raises(NotFound):
        files.open("endpoint", name)
    with pytest.raises(NotFound):
        files.delete("endpoint", name)


@pytest.mark.parametrize("name", ["..", "a/b", "x" * 1_000, "ä" * 300, ""])
def test_any_id_is_a_segment_of_a_path(files: EventFiles, tmp_path: Path, name: str) -> None:
    files.publish(Chain(name, name, 0), 1, lines(1))
    assert [path.name for path in tmp_path.iterdir()] == ["files"]
    assert files.last_offsets(name, 0) == {publisher_key(name): 1}


def test_long_ids_stay_apart(files: EventFiles) -> None:
    files.publish(Chain("x" * 1_000 + "1", "p", 0), 1, lines(1))
    assert files.names("x" * 1_000 + "2", 10) == []


def test_what_a_killed_sink_left_is_swept_after_an_hour(files: EventFiles, tmp_path: Path) -> None:
    files.sweep()
    drafts = tmp_path / "files" / ".drafts"
    (drafts / "old").touch()
    os.utime(drafts / "old", (0, 0))
    (drafts / "new").touch()
    files.sweep()
    assert [path.name for path in drafts.iterdir()] == ["new"]


def test_a_refusing_file_system_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "files").touch()
    files = EventFiles(tmp_path / "files")
    with pytest.raises(StorageUnavailable, match="event files: "):
        files.publish(CHAIN, 7, lines(7))
    with pytest.raises(StorageUnavailable):
        files.last_offsets("endpoint", 3)
    with pytest.raises(StorageUnavailable):
        files.sweep()


def test_a_file_that_somebody_cut_short_is_not_gone_on_from(files: EventFiles, tmp_path: Path) -> None:
    name = files.publish(CHAIN, 7, lines(7, 9))
    (tmp_path / "files" / "endpoint" / name).write_bytes(b'{"offset":7}\n{"offs')
    with pytest.raises(StorageUnavailable, match="does not end in an event"):
        files.last_offsets("endpoint", 3)


def test_the_url_says_where(tmp_path: Path) -> None:
    root = tmp_path / "with space"
    files = event_files(root.as_uri())
    files.publish(CHAIN, 7, lines(7))
    assert (root / "endpoint").is_dir()


@pytest.mark.parametrize("url", ["s3://bucket/files", "/var/files", "file://host/files", "file:files", ""])
def test_another_kind_of_url_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="HEADRACE_FILES_URL"):
        event_files(url)


def test_a_redacted_event_is_in_no_file_and_the_others_stay(files: EventFiles) -> None:
    said = [b'{"offset":%d,"id":"%s"}\n' % each for each in ((7, b"a"), (8, b"secret"), (9, b"c"))]
    first, second = files.publish(CHAIN, 7, said), files.publish(CHAIN, 10, [b'{"offset":10,"id":"d"}\n'])
    before = files.names("endpoint", 10)

    assert files.redact("endpoint", lambda line: b"secret" in line) == 1
    assert content(files, first) == said[0] + b'{"offset":8,"redacted":true}\n' + said[2]
    assert content(files, second) == b'{"offset":10,"id":"d"}\n'
    assert files.names("endpoint", 10) == before
    assert files.redact("endpoint", lambda line: b"secret" in line) == 0
    assert files.redact("nobody", lambda _: True) == 0


def test_a_chain_goes_on_after_a_redacted_last_event(files: EventFiles) -> None:
    files.publish(CHAIN, 7, [b'{"offset":7,"id":"secret"}\n'])
    assert files.redact("endpoint", lambda _: True) == 1
    assert files.last_offsets("endpoint", CHAIN.partition) == {publisher_key(CHAIN.publisher): 7}
