from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.process.readiness import READY_FILE, mark_ready

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_ready_file_is_made_when_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(READY_FILE, str(tmp_path / "ready"))
    mark_ready()
    mark_ready()
    assert (tmp_path / "ready").exists()


def test_without_a_name_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(READY_FILE, raising=False)
    monkeypatch.chdir(tmp_path)
    mark_ready()
    assert list(tmp_path.iterdir()) == []
