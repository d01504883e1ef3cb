"""How a plane tells its supervisor that it can do its work."""

from __future__ import annotations

import os
from pathlib import Path

READY_FILE = "HEADRACE_READY_FILE"
"""Environment variable: the file that the supervisor waits for."""


def mark_ready() -> None:
    """Create the file that ``HEADRACE_READY_FILE`` names; nothing when it is not set. May be called again."""
    path = os.environ.get(READY_FILE)
    if path:
        Path(path).touch()


def mark_unready() -> None:
    """Remove the file again while the plane cannot do its work, for whoever watches over its health."""
    path = os.environ.get(READY_FILE)
    if path:
        Path(path).unlink(missing_ok=True)
