"""Apache Kafka itself, as jars from Maven Central: one pinned list, fetched once per user and checked by digest.

``jars.json`` names every jar of the broker's runtime closure by its Maven coordinate, with its SHA-256. ``mvn`` copies
them if it is installed, else jgo does, a Maven resolver in Python. Both get the closed list and resolve no versions.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from operations.errors import CannotStart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KAFKA_VERSION = "4.3.1"

_MAVEN_TIMEOUT = 600
_POM_DEPENDENCY = """
<dependency><groupId>{0}</groupId><artifactId>{1}</artifactId><version>{2}</version>
<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"""
_POM = """<project><modelVersion>4.0.0</modelVersion>
<groupId>headrace</groupId><artifactId>broker</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>{0}
</dependencies></project>
"""


def user_cache() -> Path:
    """Where what was fetched is kept between runs and between checkouts: ``$XDG_CACHE_HOME/headrace``.

    Raises:
        CannotStart: it is not set, and the user has no home directory.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace"
    except RuntimeError as error:
        raise CannotStart("This user has no home directory to keep Kafka's jars in; set XDG_CACHE_HOME.") from error


def pinned() -> dict[str, str]:
    """Maven coordinate (``group:artifact:version``) to SHA-256 in hex, for every jar of the broker's class path."""
    text = resources.files("operations.broker").joinpath("jars.json").read_text(encoding="utf-8")
    coordinates: dict[str, str] = json.loads(text)
    return coordinates


def jar_name(coordinate: str) -> str:
    """The file name of a coordinate's jar."""
    _, artifact, version = coordinate.split(":")
    return f"{artifact}-{version}.jar"


def kafka_jars(cache: Path, report: Callable[[str], None], wanted: Mapping[str, str] | None = None) -> Path:
    """The directory that holds exactly the pinned jars; they are fetched into ``cache`` on the first use.

    The directory appears under its name only when every digest was right, so that a fetch cut short leaves nothing
    that looks complete, and two that run at once do not disturb each other.

    Raises:
        CannotStart: neither mvn nor jgo could bring them, a digest is wrong, or ``cache`` cannot be written.
    """
    coordinates = pinned() if wanted is None else wanted
    complete = cache / f"kafka-{KAFKA_VERSION}"
    if all((complete / jar_name(coordinate)).exists() for coordinate in coordinates):
        return complete
    report(f"fetching Apache Kafka {KAFKA_VERSION} ({len(coordinates)} jars, this once)")
    try:
        _fetch(cache, complete, coordinates)
    except OSError as error:
        raise CannotStart(f"{cache} cannot hold the jars: {error.strerror}; set XDG_CACHE_HOME.") from error
    return complete


def _fetch(cache: Path, complete: Path, coordinates: Mapping[str, str]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    reasons = []
    for name, fetch in _FETCHERS.items():
        with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as scratch:
            jars = Path(scratch, "jars")
            jars.mkdir()
            try:
                fetch(coordinates, jars, Path(scratch))
                _check(coordinates, jars)
            except CannotStart as error:
                reasons.append(f"{name}: {error}")
                continue
            _put_in_place(jars, complete)
            return
    raise CannotStart("The jars of Apache Kafka could not be had. " + " ".join(reasons))


def _fetch_with_maven(coordinates: Mapping[str, str], jars: Path, scratch: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise CannotStart("not installed.")
    dependencies = "".join(_POM_DEPENDENCY.format(*coordinate.split(":")) for coordinate in coordinates)
    pom = scratch / "pom.xml"
    pom.write_text(_POM.format(dependencies), encoding="utf-8")
    command = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MAVEN_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotStart(f"{error}.") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise CannotStart(said[0] if said else f"exit status {done.returncode}.")


def _fetch_with_jgo(coordinates: Mapping[str, str], jars: Path, scratch: Path) -> None:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - imported only where Maven is not installed
    except ImportError as error:
        raise CannotStart("not installed.") from error
    context = MavenContext(repo_cache=scratch / "repository", timeout=60)
    for coordinate in coordinates:
        group, artifact, version = coordinate.split(":")
        try:
            found = context.project(group, artifact).at_version(version).artifact().resolve()
        except Exception as error:  # the resolver raises what requests raises, and RuntimeError, and more
            raise CannotStart(f"{coordinate}: {error}.") from error
        shutil.copyfile(found, jars / jar_name(coordinate))


_FETCHERS: dict[str, Callable[[Mapping[str, str], Path, Path], None]] = {
    "mvn": _fetch_with_maven,
    "jgo": _fetch_with_jgo,
}


def _check(coordinates: Mapping[str, str], jars: Path) -> None:
    for coordinate, digest in coordinates.items():
        jar = jars / jar_name(coordinate)
        if not jar.exists():
            raise CannotStart(f"{coordinate} was not brought.")
        if hashlib.sha256(jar.read_bytes()).hexdigest() != digest:
            raise CannotStart(f"{coordinate} is not the file that was pinned (its SHA-256 differs).")


def _put_in_place(jars: Path, complete: Path) -> None:
    try:
        jars.rename(complete)
    except OSError:
        for jar in jars.iterdir():
            jar.replace(complete / jar.name)
