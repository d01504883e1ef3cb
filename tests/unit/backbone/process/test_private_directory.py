from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from backbone.process.private_directory import close_directory, create_for_owner_only

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def own_umask() -> Iterator[None]:
    """The process is pytest's; the tests begin with none at all."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("own_umask")
def test_files_are_created_for_their_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    create_for_owner_only()
    (tmp_path / "file").write_text("secret")
    (tmp_path / "directory").mkdir()
    assert (mode(tmp_path / "file"), mode(tmp_path / "directory")) == (0o600, 0o700)


def test_an_existing_directory_is_closed_and_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)
    assert close_directory(home)
    assert mode(home) == 0o700
    assert "could read the data directory" in caplog.text
    caplog.clear()
    assert not close_directory(home)
    assert not close_directory(tmp_path / "not there yet")
    assert not caplog.records


def test_a_directory_that_is_shared_stays_as_it_is_and_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "shared"
    home.mkdir()
    home.chmod(0o1777)
    assert close_directory(home)
    assert mode(home) == 0o1777
    assert "can read the data directory" in caplog.text
