"""Keeps what a process writes to its own user: secrets, the ledger, logs and event files."""

from __future__ import annotations

import logging
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OWNER_ONLY = 0o700


def create_for_owner_only() -> None:
    """Take all rights from others for files that are created from now on, whatever the environment says."""
    os.umask(os.umask(_OTHERS) | _OTHERS)


def close_directory(path: Path) -> bool:
    """Take all rights from others for an existing data directory; what is in it can then not be reached.

    Returns:
        Whether others had rights. A directory that others own, or that is shared like ``/tmp``, stays and is warned of.
    """
    try:
        found = path.stat()
    except OSError:
        return False  # Whoever needs it says so.
    if not found.st_mode & _OTHERS:
        return False
    try:
        if found.st_mode & stat.S_ISVTX:
            raise PermissionError("it is shared")
        path.chmod(_OWNER_ONLY)
    except OSError as error:
        log.warning(
            "Other users can read the data directory: secrets, the ledger and event files. Set HEADRACE_DATA_DIR to a "
            "directory of your own.",
            extra={"directory": str(path), "error": str(error)},
        )
    else:
        log.warning(
            "Other users could read the data directory; now they cannot. If they are not trusted, replace its secrets.",
            extra={"directory": str(path)},
        )
    return True
