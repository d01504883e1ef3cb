from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from schemas.model.errors import TransactionAborted
from stream_processors.runtime.fault_injection import parse_fault


def test_without_a_fault_nothing_happens() -> None:
    parse_fault(None)()


def test_abort_strikes_once_and_only_in_its_transaction() -> None:
    strike = parse_fault("abort:2")

    strike()
    with pytest.raises(TransactionAborted):
        strike()
    strike()


def test_kill_kills_the_process() -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "from stream_processors.runtime.fault_injection import parse_fault; parse_fault('kill:1')()",
        ],
        check=False,
    )

    assert ended.returncode == -signal.SIGKILL
