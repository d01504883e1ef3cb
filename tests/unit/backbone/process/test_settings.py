from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from sqlalchemy import make_url

from backbone.process.settings import BackboneSettings, kept
from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADMIN_KEY", "SECRET_KEYS", "TOKEN_SECRET", "NODE_ID", "LEDGER_URL", "DATA_DIR"):
        monkeypatch.delenv(f"HEADRACE_{name}", raising=False)


def test_what_is_not_set_is_generated_once_for_the_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second = BackboneSettings(data_dir=home), BackboneSettings(data_dir=home)
    assert (first.first_admin_key(), first.secret_keys, first.token_secret, first.node_id) == (
        second.first_admin_key(),
        second.secret_keys,
        second.token_secret,
        second.node_id,
    )
    files = sorted(home.iterdir())
    assert [each.name for each in files] == ["admin-key", "node-id", "secret-keys", "token-secret"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert len({each.read_text() for each in files}) == 4
    assert first.ledger_url == f"sqlite:///{home}/ledger.sqlite3"


@pytest.mark.parametrize("name", ["what?", "100%20", "a#b", "données d'été"])
def test_the_ledger_and_the_files_are_in_the_data_directory_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    settings = BackboneSettings(data_dir=tmp_path / name)
    assert make_url(settings.ledger_url).database == str(tmp_path / name / "ledger.sqlite3")
    assert url2pathname(urlsplit(settings.files_url).path) == str(tmp_path / name / "files")


def test_a_variable_that_is_empty_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_DATA_DIR", "")
    settings = BackboneSettings()
    assert settings.ledger_url == f"sqlite:///{tmp_path}/.headrace/ledger.sqlite3"
    assert [entry.name for entry in tmp_path.iterdir()] == [".headrace"]


def test_what_is_set_is_taken_and_no_file_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HEADRACE_ADMIN_KEY", "an-admin-key-of-the-test")
    monkeypatch.setenv("HEADRACE_SECRET_KEYS", "the-new-key-in-front, the-old-key-behind")
    monkeypatch.setenv("HEADRACE_TOKEN_SECRET", "a-token-secret-of-the-test")
    monkeypatch.setenv("HEADRACE_NODE_ID", "node-1")
    settings = BackboneSettings()
    assert settings.admin_key == "an-admin-key-of-the-test"
    assert settings.secret_keys == ("the-new-key-in-front", "the-old-key-behind")
    assert settings.node_id == "node-1"
    assert list(tmp_path.iterdir()) == []


def test_no_secret_is_printed(tmp_path: Path) -> None:
    settings = BackboneSettings(data_dir=tmp_path, ledger_url="postgresql://user:password@host/db")
    for secret in (settings.first_admin_key(), *settings.secret_keys, settings.token_secret, "password"):
        assert secret not in repr(settings)


@pytest.mark.parametrize("name", ["HEADRACE_ADMIN_KEY", "HEADRACE_TOKEN_SECRET", "HEADRACE_SECRET_KEYS"])
def test_a_weak_secret_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for weak in ("short", "a" * 16, "abcabcabcabcabcabcabcabc"):
        monkeypatch.setenv(name, weak)
        with pytest.raises(Misconfigured, match=name):
            BackboneSettings(data_dir=tmp_path)


def test_a_plane_that_needs_no_administrators_key_generates_none(tmp_path: Path) -> None:
    BackboneSettings(data_dir=tmp_path)
    assert not (tmp_path / "admin-key").exists()


def test_all_who_race_for_a_file_read_what_one_wrote(tmp_path: Path) -> None:
    numbers = count()
    with ThreadPoolExecutor(16) as pool:
        for round_ in range(20):
            path = tmp_path / f"file-{round_}"
            texts = pool.map(lambda _, path=path: kept(path, lambda: f"text {next(numbers)}"), range(16))
            assert len(set(texts)) == 1
    assert len(list(tmp_path.iterdir())) == 20


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "token-secret").touch()
    with pytest.raises(Misconfigured, match="token-secret is empty"):
        BackboneSettings(data_dir=tmp_path)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="HEADRACE_DATA_DIR"):
        BackboneSettings(data_dir=tmp_path / "file")
