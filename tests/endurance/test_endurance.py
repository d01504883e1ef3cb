"""The endurance programs for as long as somebody waits for ``make test-all``."""

from __future__ import annotations

import subprocess
import sys

import pytest

_MINUTE = 60


@pytest.mark.timeout(60 * _MINUTE)
@pytest.mark.parametrize(
    "command",
    [
        ("chaos", "--rounds", "10"),
        ("chaos", "--rounds", "5", "--brokers", "3"),
        ("chaos", "--rounds", "3", "--brokers", "3", "--faults", "rolling-restart"),
        ("soak", "--minutes", "3"),
    ],
    ids=" ".join,
)
def test_it_holds(command: tuple[str, ...], jars: None) -> None:
    name, *arguments = command
    done = subprocess.run(
        [sys.executable, "-m", f"tests.endurance.{name}", *arguments],
        capture_output=True,
        text=True,
        timeout=55 * _MINUTE,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
