"""Which process of its kind on this node a process is: a number that two living ones never share."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_SLOTS = 256


@contextlib.contextmanager
def claimed_slot(directory: Path, kind: str, wanted: int | None = None) -> Iterator[int]:
    """Hold a slot while the block runs: ``wanted``, or the first free one.

    A slot is a locked file in the data directory. The lock dies with its process, so a killed one's slot, and with it
    its transactional id, goes to the process that replaces it and fences what the dead one left open.

    Args:
        directory: of what the processes of a node share.
        kind: of process, such as ``router``.
        wanted: None takes the first free one.

    Raises:
        Misconfigured: the wanted slot is held by another process, or all are.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for slot in range(MAX_SLOTS) if wanted is None else (wanted,):
        handle = os.open(directory / f"{kind}-{slot}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        try:
            yield slot
        finally:
            os.close(handle)
        return
    taken = "every slot" if wanted is None else f"slot {wanted}"
    raise Misconfigured(f"{taken} of a {kind} is held by another process of {directory}; ask for another, or for none")
