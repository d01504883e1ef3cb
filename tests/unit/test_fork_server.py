"""A program that is started by fork finds what it would find had it been executed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.fork_server import Forked

ROOT = Path(__file__).parents[2]

TELLS = """
import json, os, random, sys, threading
print(json.dumps({
    "environment": dict(os.environ),
    "directory": os.getcwd(),
    "arguments": sys.argv,
    "input": sys.stdin.read(),
    "files": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
    "threads": os.listdir("/proc/self/task") == [str(os.getpid())],
    "module": __name__,
    "random": random.random(),
}))
sys.stderr.write("and an error")
sys.exit(7)
"""

LEFT = """
import os
from tests.support.fork_server import Forked
print(Forked("-c", "import time; time.sleep(600)").pid, flush=True)
os._exit(0)
"""


def test_it_is_as_if_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_text("some input")
    told = []
    for _ in range(2):
        with (
            (tmp_path / "in").open() as given,
            (tmp_path / "out").open("w") as out,
            (tmp_path / "err").open("w") as err,
            Forked("-c", TELLS, "one", "two", env={"ONLY": "this"}, stdin=given, stdout=out, stderr=err) as process,
        ):
            assert process.wait(60) == 7
        told.append(json.loads((tmp_path / "out").read_text()))
    assert told[0].pop("random") != told[1].pop("random")
    assert told[0] == {
        "environment": {"ONLY": "this"},
        "directory": str(tmp_path),
        "arguments": ["-c", "one", "two"],
        "input": "some input",
        "files": [0, 1, 2],
        "threads": True,
        "module": "__main__",
    }
    assert (tmp_path / "err").read_text() == "and an error"


def test_a_module_is_run_as_one(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as output, Forked("-m", "operations", "--version", stdout=output) as process:
        assert process.wait(60) == 0
    assert (tmp_path / "out").read_text().startswith("headrace ")


def test_it_is_waited_for_and_ended() -> None:
    process = Forked("-c", "import time; time.sleep(600)")
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.terminate()
    assert process.wait(60) == process.returncode == process.poll() == -signal.SIGTERM
    process.kill()  # of one that has ended is nothing


def test_it_ends_with_the_process_that_asked_for_it() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT], cwd=ROOT, stdout=subprocess.PIPE, timeout=60, check=True)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{int(done.stdout)}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
