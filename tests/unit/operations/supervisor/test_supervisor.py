from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from operations.errors import CannotStart
from operations.supervisor import processes as processes_module
from operations.supervisor import supervisor as supervisor_module
from operations.supervisor.processes import Process
from operations.supervisor.supervisor import Part, PartState, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

READY_THEN_WAIT = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
FAIL = "import sys; sys.exit('no database')"
FAIL_AFTER_THE_FIRST_TIME = """
import pathlib, sys, time
started = pathlib.Path(sys.argv[1]).with_suffix(".started")
if started.exists():
    sys.exit('{"level": "error", "message": "no database"}')
started.touch()
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""
SLOW_FROM_THE_SECOND_TIME_ON = """
import pathlib, sys, time
ready = pathlib.Path(sys.argv[1])
started, read = ready.with_suffix(".started"), ready.with_suffix(".read")
if started.exists():
    print("reading", flush=True)
    while not read.exists():
        time.sleep(0.01)
started.touch()
ready.touch()
time.sleep(600)
"""
IGNORE_TERM = (
    "import pathlib, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
)
PARENT_OF_ONE = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
ready = pathlib.Path(sys.argv[1])
ready.with_suffix(".child").write_text(str(child.pid))
ready.touch()
time.sleep(600)
"""


def part(tmp_path: Path, name: str, code: str = READY_THEN_WAIT, **options: float) -> Part:
    ready = tmp_path / f"{name}.ready"
    process = Process(name, [sys.executable, "-c", code, ready], log=tmp_path / f"{name}.log")
    return Part(
        process=process,
        ready=ready.exists,
        before_start=lambda: ready.unlink(missing_ok=True),
        **options,  # type: ignore[arg-type]
    )


def tick_until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "did not come about"
        supervisor.tick()
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def wait_dead(pid: int) -> None:
    deadline = time.monotonic() + 60
    while alive(pid):
        assert time.monotonic() < deadline, f"{pid} is still there"
        time.sleep(0.01)


def test_a_stage_starts_when_the_one_before_it_is_ready_and_stops_after_it(tmp_path: Path) -> None:
    seen: list[tuple[str, PartState]] = []
    broker, first, second = part(tmp_path, "broker"), part(tmp_path, "first"), part(tmp_path, "second")
    supervisor = Supervisor([[broker], [first, second]], on_change=lambda p: seen.append((p.name, p.state)))
    try:
        tick_until(supervisor, lambda: supervisor.ready)
    finally:
        supervisor.stop()
    assert seen.index(("broker", PartState.READY)) < seen.index(("first", PartState.STARTING))
    assert seen.index(("first", PartState.STOPPED)) < seen.index(("broker", PartState.STOPPING))
    assert not any(p.process.running() for p in supervisor.parts)


def test_a_part_that_ends_is_started_again(tmp_path: Path) -> None:
    worker = part(tmp_path, "worker")
    supervisor = Supervisor([[worker]], on_change=lambda _part: None, backoff_first=0.01)
    try:
        tick_until(supervisor, lambda: supervisor.ready)
        first = worker.process.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        tick_until(supervisor, lambda: not supervisor.ready)
        tick_until(supervisor, lambda: supervisor.ready)
        assert worker.process.pid != first
    finally:
        supervisor.stop()


def test_what_never_becomes_ready_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    supervisor = Supervisor([[part(tmp_path, "worker", FAIL)]], on_change=lambda _part: None, backoff_first=0.01)
    with pytest.raises(CannotStart, match=r"worker ended 3 times before it was ready(?s:.*)no database"):
        tick_until(supervisor, lambda: supervisor.ready)
    supervisor.stop()


def test_what_is_not_ready_in_time_is_given_up(tmp_path: Path) -> None:
    slow = part(tmp_path, "slow", "import time; time.sleep(600)", start_timeout=0.2)
    supervisor = Supervisor([[slow]], on_change=lambda _part: None)
    try:
        with pytest.raises(CannotStart, match="slow is not ready after 0 s"):
            tick_until(supervisor, lambda: supervisor.ready)
    finally:
        supervisor.kill()
    assert not slow.process.running()


def test_what_was_ready_once_and_then_is_late_is_waited_for_and_told(tmp_path: Path) -> None:
    worker = part(tmp_path, "worker", SLOW_FROM_THE_SECOND_TIME_ON)
    seen: list[tuple[PartState, str]] = []
    supervisor = Supervisor([[worker]], on_change=lambda p: seen.append((p.state, p.trouble)), backoff_first=0.01)
    try:
        tick_until(supervisor, lambda: supervisor.ready)
        worker.process.kill()
        tick_until(supervisor, lambda: "reading" in (tmp_path / "worker.log").read_text())
        second = worker.process.pid
        worker.start_timeout = 0
        tick_until(supervisor, lambda: worker.state is PartState.LATE)
        supervisor.tick()
        assert worker.process.pid == second
        (tmp_path / "worker.read").touch()
        tick_until(supervisor, lambda: supervisor.ready)
        assert worker.process.pid == second
    finally:
        supervisor.stop()
    late = [trouble for state, trouble in seen if state is PartState.LATE]
    assert late == [f"not ready after 0 s, still running and waited for; its log is {worker.process.log}: reading"]
    assert worker.trouble == ""


def test_a_patient_part_is_waited_for_at_its_first_start(tmp_path: Path) -> None:
    broker = part(tmp_path, "broker", "import time; time.sleep(600)", start_timeout=0.0)
    broker.patient = True
    supervisor = Supervisor([[broker]], on_change=lambda _part: None)
    try:
        tick_until(supervisor, lambda: broker.state is PartState.LATE)
        supervisor.tick()
        assert broker.process.running()
    finally:
        supervisor.kill()


def test_why_a_part_is_started_again_is_told(tmp_path: Path) -> None:
    worker = part(tmp_path, "worker", FAIL_AFTER_THE_FIRST_TIME)
    seen: list[tuple[PartState, str]] = []
    supervisor = Supervisor([[worker]], on_change=lambda p: seen.append((p.state, p.trouble)), backoff_first=0.01)
    try:
        tick_until(supervisor, lambda: supervisor.ready)
        worker.process.kill()
        tick_until(supervisor, lambda: worker.ends == 3)
    finally:
        supervisor.kill()
    log = f"its log is {worker.process.log}"
    assert [trouble for state, trouble in seen if state is PartState.RESTARTING] == [
        f"ended by SIGKILL, to be started again in 0.0 s; {log}",
        f"ended with status 1, to be started again in 0.0 s; {log}: no database",
        f"ended with status 1, to be started again in 0.0 s; {log}: no database",
    ]


def test_what_ends_for_hours_is_started_again_all_the_time(tmp_path: Path) -> None:
    worker = part(tmp_path, "worker", FAIL_AFTER_THE_FIRST_TIME)
    supervisor = Supervisor([[worker]], on_change=lambda _part: None, backoff_first=0.0)
    try:
        tick_until(supervisor, lambda: supervisor.ready)
        worker.ends = 2_000
        worker.process.kill()
        tick_until(supervisor, lambda: worker.ends == 2_003)
    finally:
        supervisor.kill()


def test_time_spent_on_starting_is_no_steady_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "STEADY_AFTER", 0.0)
    supervisor = Supervisor([[part(tmp_path, "worker", FAIL)]], on_change=lambda _part: None, backoff_first=0.01)
    with pytest.raises(CannotStart, match="worker ended 3 times before it was ready"):
        tick_until(supervisor, lambda: supervisor.ready)


def test_what_does_not_heed_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    stubborn = part(tmp_path, "stubborn", IGNORE_TERM, stop_grace=0.2)
    supervisor = Supervisor([[stubborn]], on_change=lambda _part: None)
    tick_until(supervisor, lambda: supervisor.ready)
    supervisor.stop()
    assert stubborn.process.exit_status() == -signal.SIGKILL


def test_nothing_of_a_part_is_left_when_it_is_stopped(tmp_path: Path) -> None:
    family = part(tmp_path, "family", PARENT_OF_ONE)
    supervisor = Supervisor([[family]], on_change=lambda _part: None)
    tick_until(supervisor, lambda: supervisor.ready)
    supervisor.stop()
    wait_dead(int((tmp_path / "family.child").read_text()))


_SUPERVISE = """
import pathlib, sys, time
from operations.supervisor.processes import Process
home = pathlib.Path(sys.argv[1])
process = Process("part", [sys.executable, "-c", "import time; time.sleep(600)"], log=home / "log")
process.start()
print(process.pid, flush=True)
time.sleep(600)
"""


def test_a_part_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SUPERVISE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert alive(pid)
        supervisor.kill()
    wait_dead(pid)


def test_last_words_are_those_of_the_last_start(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of an earlier run\n")
    process = Process("part", [sys.executable, "-c", "print('of this run')"], log=tmp_path / "log")
    process.start()
    assert process.wait(60) == 0
    assert process.last_words() == "of this run"


def test_a_log_that_has_become_long_goes_on_in_an_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes_module, "LOG_BYTES", 1000)
    log, older = tmp_path / "part.log", tmp_path / "part.log.1"
    go = tmp_path / "go"
    code = (
        "import pathlib, sys, time\nprint('a' * 1000, flush=True)\n"
        "while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)\nprint('b', flush=True)"
    )
    process = Process("part", [sys.executable, "-c", code, go], log=log)
    log.write_text("of an earlier run\n")
    worker = Part(process=process, ready=lambda: True)
    supervisor = Supervisor([[worker]], on_change=lambda _part: None)
    try:
        tick_until(supervisor, older.exists)
        assert (older.read_text(), log.read_text()) == (f"of an earlier run\n{'a' * 1000}\n", "")
        go.touch()
        process.wait(60)
        assert log.read_text() == process.last_words() + "\n" == "b\n"
    finally:
        supervisor.kill()


def test_a_log_is_bounded_where_there_is_no_room_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes_module, "LOG_BYTES", 1000)
    log = tmp_path / "part.log"
    log.write_text("a" * 1001)
    (tmp_path / "part.log.1").mkdir()
    Process("part", ["true"], log=log).bound_log()
    assert log.read_text() == ""
