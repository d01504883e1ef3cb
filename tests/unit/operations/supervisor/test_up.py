from __future__ import annotations

import io
import os
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from rich.console import Console

from operations.errors import CannotStart
from operations.settings import OperationsSettings
from operations.supervisor import up as up_module
from operations.supervisor.installation import running_file
from operations.supervisor.up import StopRequest, Up, welcome

if TYPE_CHECKING:
    from collections.abc import Callable


class Broker:
    """A Kafka that someone else runs."""

    bootstrap_servers = consumer_servers = "127.0.0.1:9092"
    description = "given"
    client_environment: ClassVar[dict[str, str]] = {}
    resumes = False

    def __init__(self, answers: Callable[[], bool]) -> None:
        self._answers = answers

    def prepare(self) -> None:
        pass

    def command(self) -> list[str]:
        return []

    def answers(self, timeout: float = 1.0) -> bool:  # noqa: ARG002 - the protocol's
        return self._answers()

    def close(self) -> None:
        pass


def up(home: Path, answers: Callable[[], bool], *, stay: bool) -> Up:
    settings = OperationsSettings(data_dir=home, http_port=1, realtime_port=1)
    return Up(settings, Broker(answers), console=Console(file=io.StringIO()), tour=not stay, stay=stay)


@pytest.mark.usefixtures("own_signals")
def test_a_given_kafka_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up_module, "GIVEN_TIMEOUT", 0.1)
    with pytest.raises(CannotStart, match=r"No Kafka answers at 127.0.0.1:9092 \(KAFKA_BOOTSTRAP_SERVERS\)"):
        up(tmp_path, lambda: False, stay=True).run()
    assert not running_file(tmp_path).exists()


@pytest.mark.parametrize(("stay", "status"), [(True, 0), (False, 128 + signal.SIGINT)])
@pytest.mark.usefixtures("own_signals")
def test_an_interrupted_run_succeeds_unless_the_tours_verdict_was_wanted(
    tmp_path: Path, *, stay: bool, status: int
) -> None:
    def interrupted() -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return False

    assert up(tmp_path, interrupted, stay=stay).run() == status


@pytest.mark.usefixtures("own_signals")
def test_a_closed_terminal_that_says_so_again_ends_nothing_sooner() -> None:
    request = StopRequest()
    request.install()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGHUP):
        signal.raise_signal(number)
    assert (request.made, request.number) == (True, signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("own_signals")
def test_under_nohup_a_closed_terminal_ends_nothing() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    request = StopRequest()
    request.install()
    signal.raise_signal(signal.SIGHUP)
    assert not request.made
    signal.raise_signal(signal.SIGTERM)
    assert request.made


@pytest.mark.parametrize("given", ["", "an administrator's key"])
def test_the_welcome_says_where_the_administrators_key_is_and_never_the_key(given: str, tmp_path: Path) -> None:
    settings = OperationsSettings(admin_key=given, data_dir=tmp_path)
    broker: Any = SimpleNamespace(consumer_servers="127.0.0.1:9092", description="given")

    said = welcome(settings, broker)

    in_file = f"$(cat {tmp_path / 'admin-key'})"
    assert (in_file in said, "$HEADRACE_ADMIN_KEY" in said) == (not given, bool(given))
    assert not given or given not in said


def test_the_commands_to_try_can_be_pasted_in_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "my data (it's mine)"
    home.mkdir()
    (home / "admin-key").write_text("hra_key\n")
    monkeypatch.chdir(tmp_path)
    broker: Any = SimpleNamespace(consumer_servers="127.0.0.1:9092", description="given")

    said = welcome(OperationsSettings(data_dir=Path(home.name)), broker)

    command = next(line for line in said.splitlines() if line.lstrip().startswith("curl"))
    printed = subprocess.run(
        ["sh", "-c", f"curl() {{ printf '%s\\n' \"$@\"; }}; {command}"],
        cwd="/",
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert "Authorization: Bearer hra_key" in printed.splitlines()
