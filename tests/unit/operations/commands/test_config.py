"""``headrace config`` shows settings without secrets, and what is wrong with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from operations.cli import app
from tests.support.commands import UNSET

if TYPE_CHECKING:
    from pathlib import Path


def test_secrets_are_hidden_and_faults_are_told(tmp_path: Path) -> None:
    environment = {
        **UNSET,
        "HEADRACE_DATA_DIR": str(tmp_path),
        "HEADRACE_ADMIN_KEY": "s3cret",
        "HEADRACE_HTTP_PORT": "x",
        "HEADRACE_KAFKA_OPTIONS": '{"sasl.password": "s3cret", "sasl.username": "planes"}',
        "HEADRACE_LEDGER_URL": "postgresql://user:s3cret@host/db",
        "HEADRACE_FOO": "1",
    }
    done = CliRunner().invoke(app, ["config", "--json"], env=environment, catch_exceptions=False)
    assert done.exit_code == 2
    assert "s3cret" not in done.output
    told = json.loads(done.stdout)
    assert {"HEADRACE_HTTP_PORT", "HEADRACE_LEDGER_URL"} <= {each["name"] for each in told["settings"]}
    assert "HEADRACE_ADMIN_KEY must have at least 16 characters" in told["problems"]
    assert [each for each in told["problems"] if "HEADRACE_FOO" in each or "HEADRACE_HTTP_PORT" in each]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEADRACE_KAFKA_OPTIONS", '{"sasl.password": "s3cret",}'),
        ("HEADRACE_KAFKA_OPTIONS", '{"a": [{"sasl.password": "s3cret"}]}'),
        ("HEADRACE_LEDGER_URL", "postgresql://host/db?user=u&password=s3cret&sslmode=require"),
    ],
)
def test_a_secret_is_hidden_where_it_is_out_of_place(name: str, value: str) -> None:
    done = CliRunner().invoke(app, ["config", "--json"], env={**UNSET, name: value}, catch_exceptions=False)
    assert name in done.stdout
    assert "s3cret" not in done.output
