"""What the commands say of arguments and settings that they cannot use: one line, and no traceback."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from operations.__main__ import main
from operations.cli import app

if TYPE_CHECKING:
    from pathlib import Path


def headrace(directory: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit status, standard output, and the last line on standard error."""
    unset = {name: None for name in os.environ if name.startswith(("HEADRACE_", "KAFKA_"))}
    done = CliRunner().invoke(app, arguments, env={**unset, "HEADRACE_DATA_DIR": str(directory), **environment})
    return done.exit_code, done.stdout, done.stderr.strip().rpartition("\n")[2]


def test_ctrl_c_while_it_loads_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loading:
        @property
        def app(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "operations.cli", Loading())
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130


def test_its_version(tmp_path: Path) -> None:
    status, said, _ = headrace(tmp_path, "--version")
    assert (status, said.split()[0]) == (0, "headrace")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["up", "--exit"], "Error: Invalid value for --exit: use it together with --tour"),
        (["broker", "--kafka", "env"], "'env' is not one of 'jars', 'containers', 'tansu'."),
        (["connector", "mail"], "'mail' is not one of 'webhook', 'websocket', 'file'."),
        (["ingest", "--only", "cold"], "'cold' is not one of 'hot', 'control'."),
    ],
)
def test_an_argument_that_cannot_be(tmp_path: Path, arguments: list[str], reason: str) -> None:
    status, said, error = headrace(tmp_path, *arguments)
    assert (status, said) == (2, "")
    assert error.endswith(reason)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "variable", "value", "reason"),
    [
        ("ingest", "HEADRACE_KAFKA_OPTIONS", "{", "HEADRACE_KAFKA_OPTIONS: must be a JSON object"),
        ("processors", "HEADRACE_KAFKA_OPTIONS", '{"a.b":1}', "HEADRACE_KAFKA_OPTIONS: a.b: Input should be a valid"),
        ("processors", "HEADRACE_PROCESSORS_SLOT", "x", "HEADRACE_PROCESSORS_SLOT: Input should be a valid integer"),
        ("router", "HEADRACE_PROCESSORS_SLOT", "-1", "HEADRACE_PROCESSORS_SLOT: Input should be greater than"),
        ("ledger", "HEADRACE_PROCESSORS_LEDGER_WEB_PORT", "0", "HEADRACE_PROCESSORS_LEDGER_WEB_PORT: Input should be"),
        ("processors", "HEADRACE_LOG_LEVEL", "loud", "HEADRACE_LOG_LEVEL: Input should be 'DEBUG', 'INFO'"),
        ("ingest", "HEADRACE_INGEST_WORKERS", "0", "HEADRACE_INGEST_WORKERS: Input should be greater than"),
        (
            "ingest",
            "HEADRACE_INGEST_CRMLS_STRICT_JSON",
            "?",
            "HEADRACE_INGEST_CRMLS_STRICT_JSON: Input should be a valid",
        ),
    ],
)
def test_a_setting_that_cannot_be(tmp_path: Path, command: str, variable: str, value: str, reason: str) -> None:
    status, said, error = headrace(tmp_path, command, **{variable: value})
    assert (status, said) == (2, "")
    assert error.startswith(reason)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_family_that_is_not_there(tmp_path: Path, workers: str) -> None:
    given = {"HEADRACE_FAMILIES": "crmls, doorbell", "HEADRACE_INGEST_WORKERS": workers}
    status, said, error = headrace(tmp_path, "ingest", **given)
    assert (status, said) == (1, "")
    assert error == (
        "HEADRACE_FAMILIES: there is no 'doorbell'; "
        "there is console, crmls, eventhos, envoy, exchange, event-service, headrace, schema-registry"
    )


@pytest.mark.parametrize("command", ["router", "ledger", "monitor"])
def test_the_help_of_a_stream_processor_has_an_example(tmp_path: Path, command: str) -> None:
    status, said, _ = headrace(tmp_path, command, "--help")
    assert status == 0
    example = " ".join(said.partition("Example")[2].split())
    assert example.endswith(f" headrace {command}")


@pytest.mark.parametrize("name", ["ADMIN_KEY", "SECRET_KEYS", "TOKEN_SECRET", "REALTIME_TOKEN_SECRET"])
def test_a_secret_that_could_be_guessed(tmp_path: Path, name: str) -> None:
    status, said, error = headrace(tmp_path, "ingest", **{f"HEADRACE_{name}": "t00-short"})
    assert (status, said) == (1, "")
    assert error.endswith(f"HEADRACE_{name} must have at least 16 characters")


@pytest.mark.usefixtures("own_signals")
def test_an_option_that_kafkas_client_does_not_know(tmp_path: Path) -> None:
    given = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "HEADRACE_KAFKA_OPTIONS": '{"a.b":"c"}'}
    status, said, error = headrace(tmp_path, "up", **given)
    assert (status, said) == (1, "")
    assert error == 'HEADRACE_KAFKA_OPTIONS: No such configuration property: "a.b"'


def test_what_nobody_answers_is_told_on_standard_error(tmp_path: Path) -> None:
    status, said, error = headrace(tmp_path, "fixtures", "--json")
    assert (status, said) == (1, "")
    assert error.endswith("Is Headrace up with this data directory?")
