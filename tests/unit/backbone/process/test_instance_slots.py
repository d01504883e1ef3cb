from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from backbone.process.instance_slots import claimed_slot
from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path


def test_two_processes_never_share_a_slot(tmp_path: Path) -> None:
    with claimed_slot(tmp_path, "router") as first, claimed_slot(tmp_path, "router") as second:
        assert (first, second) == (0, 1)
    with claimed_slot(tmp_path, "router") as again, claimed_slot(tmp_path, "webhook") as other:
        assert (again, other) == (0, 0)


def test_a_wanted_slot_that_is_held_is_refused(tmp_path: Path) -> None:
    with (
        claimed_slot(tmp_path, "router", 3) as slot,
        pytest.raises(Misconfigured, match="slot 3"),
        claimed_slot(tmp_path, "router", 3),
    ):
        pass
    assert slot == 3


def test_a_killed_process_gives_its_slot_back(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from backbone.process.instance_slots import claimed_slot\n"
        "with claimed_slot(Path(sys.argv[1]), 'router') as slot:\n"
        "    print(slot, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=False)

    assert ended.stdout == b"0\n"
    with claimed_slot(tmp_path, "router") as slot:
        assert slot == 0
