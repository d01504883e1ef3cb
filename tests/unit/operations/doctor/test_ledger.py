"""A ledger that cannot be used."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from backbone.ledger.tables import open_ledger
from backbone.ledger.upgrade import upgrade
from operations.doctor.ledger import ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from operations.doctor.site import Site


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("sqlite:////proc/ledger.sqlite3", "unwritable-ledger"),
        ("sqlite:////proc/self/there/ledger.sqlite3", "unwritable-ledger"),
        ("postgresql://127.0.0.1:1/db", "ledger-away"),
        ("mysql://127.0.0.1/db", "unwritable-ledger"),
    ],
)
def test_a_place_that_cannot_be_written(site: Callable[..., Site], url: str, cause: str) -> None:
    (found,) = ledger(site(installed={"ledger_url": url}))
    assert found.cause == cause
    assert "headrace ledger" in found.cure


def test_a_file_that_is_no_ledger_or_a_later_one(site: Callable[..., Site], tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite3"
    assert list(ledger(site())) == []
    assert not file.exists()
    file.write_bytes(b"no database" * 1_000)
    assert [each.cause for each in ledger(site())] == ["unwritable-ledger"]

    file.unlink()
    engine = open_ledger(f"sqlite:///{file}")
    upgrade(engine)
    engine.dispose()
    assert list(ledger(site())) == []
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'later'")
    (found,) = ledger(site())
    assert "a later Headrace" in found.what


def test_a_file_that_is_only_for_reading(site: Callable[..., Site], tmp_path: Path) -> None:
    """Root may write whatever the mode says, so SQLite is told to open the file for reading."""
    file = tmp_path / "ledger.sqlite3"
    engine = open_ledger(f"sqlite:///{file}")
    upgrade(engine)
    engine.dispose()
    (found,) = ledger(site(installed={"ledger_url": f"sqlite:///file:{file}?mode=ro&uri=true"}))
    assert found.cause == "unwritable-ledger"
    assert "readonly" in found.what
