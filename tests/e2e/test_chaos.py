"""A short run of the endurance programs: they work, and a fault of each kind does no harm."""

from __future__ import annotations

import subprocess
import sys


def test_two_rounds_of_faults_lose_nothing(jars: None) -> None:
    command = [sys.executable, "-m", "tests.endurance.chaos", "--seed", "13511", "--rounds", "2", "--rate", "5"]
    faults = ["--faults", "kill,broker-stall,receiver", "--settle", "180"]
    done = subprocess.run([*command, *faults], capture_output=True, text=True, timeout=290, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "everything held" in done.stdout
