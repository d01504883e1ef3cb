"""Which gateway a command calls, and that the key of the data directory goes to no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from operations.api.target import Target, target_of
from operations.errors import CannotStart, WrongUsage
from operations.supervisor.installation import running_file

if TYPE_CHECKING:
    from pathlib import Path

REMOTE = "https://events.example.com"


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HEADRACE_URL", "HEADRACE_KEY", "HEADRACE_ADMIN_KEY", "HEADRACE_HTTP_PORT", "HEADRACE_HTTP_HOST"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEADRACE_DATA_DIR", str(tmp_path))
    (tmp_path / "admin-key").write_text("the administrator's\n")
    return tmp_path


def test_by_default_it_is_what_runs_with_the_data_directory(data_dir: Path) -> None:
    running = running_file(data_dir)
    running.parent.mkdir()
    running.write_text(json.dumps({"HEADRACE_HTTP_PORT": "18080"}))
    assert target_of() == Target(url="http://127.0.0.1:18080", key="the administrator's")


def test_options_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_URL", REMOTE)
    monkeypatch.setenv("HEADRACE_KEY", "of the environment")
    assert target_of() == Target(url=REMOTE, key="of the environment")
    given = target_of("http://127.0.0.1:1/headrace/v1/", "given", "acme")
    assert given == Target(url="http://127.0.0.1:1", key="given", workspace="acme")


def test_the_key_of_the_data_directory_is_sent_to_no_other_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrongUsage, match=f"Which API key is for {REMOTE}"):
        target_of(REMOTE)
    monkeypatch.setenv("HEADRACE_ADMIN_KEY", "a key of the environment")
    with pytest.raises(WrongUsage, match="Which API key"):
        target_of(REMOTE)
    assert target_of("http://127.0.0.1:8080").key == "a key of the environment"


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://x", "http://", "http://x/path"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(WrongUsage, match="is no URL of a gateway"):
        target_of(url, "key")


def test_a_data_directory_without_a_key(data_dir: Path) -> None:
    (data_dir / "admin-key").unlink()
    with pytest.raises(CannotStart, match="Is Headrace up with this data directory"):
        target_of()


def test_a_key_is_not_in_what_is_printed_of_it() -> None:
    assert "secret" not in repr(Target(url=REMOTE, key="secret"))
