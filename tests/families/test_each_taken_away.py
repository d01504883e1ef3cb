"""A house without one of its families stands: every process starts, and waits for Kafka."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from operations.supervisor.ports import free_port

ROOT = Path(__file__).parents[2]
FAMILIES = sorted(path.parent.name for path in (ROOT / "families").glob("*/__init__.py"))
OTHERS = ("schemas", "backbone", "ingest_api", "stream_processors", "connectors", "processes")

PROGRAM = ROOT / "tests" / "support" / "every_process.py"
RUN = """
import runpy, sys
# It would find in the repository what the copy does not have.
sys.meta_path = [each for each in sys.meta_path if "editable" not in getattr(each, "__module__", "")]
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

NO_KAFKA = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "HEADRACE_INGEST_START_TIMEOUT": "0.000001",
}
KILLED = ("router", "ledger", "processors", "replayer", "monitor", "webhook", "websocket", "file")
ENDED = f"{ {'ingest': 3} | dict.fromkeys(KILLED, -9) }\n"


def started(here: Path) -> subprocess.CompletedProcess[str]:
    """Start every process of a copy, and kill each when it serves its health."""
    ports = [str(free_port()) for _ in range(1 + len(KILLED))]
    return subprocess.run(
        [sys.executable, "-c", RUN, str(PROGRAM), *ports],
        cwd=here,
        env={**os.environ, **NO_KAFKA, "HEADRACE_DATA_DIR": str(here / "data"), "PYTHONPATH": str(here)},
        capture_output=True,
        text=True,
        check=False,
    )


def names(node: ast.expr | None, family: str) -> bool:
    """Whether an element of a list of families is of this one."""
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and (text == family or text.startswith(f"families.{family}."))


def without(family: str, text: str) -> str:
    """The text of the lists of families, without the lines of one of them."""
    gone: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            gone |= {value.lineno for key, value in pairs if names(key, family) or names(value, family)}
        if isinstance(node, ast.Tuple):
            gone |= {each.lineno for each in node.elts if names(each, family)}
    return "".join(line for number, line in enumerate(text.splitlines(keepends=True), 1) if number not in gone)


def copy_without(family: str, root: Path) -> None:
    """The product's packages but for one family; what does not change is linked."""
    for package in OTHERS:
        (root / package).symlink_to(ROOT / package)
    (root / "families").mkdir()
    for path in (ROOT / "families").iterdir():
        if path.suffix == ".py" or (path.name in FAMILIES and path.name != family):
            (root / "families" / path.name).symlink_to(path)
    registry = root / "families" / "registry.py"
    registry.unlink()
    registry.write_text(without(family, (ROOT / "families" / "registry.py").read_text()))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_process_starts_without(family: str, tmp_path: Path) -> None:
    copy_without(family, tmp_path)
    done = started(tmp_path)

    assert done.stdout == ENDED, done.stderr
    assert "Application startup failed" in done.stderr


def test_a_family_that_is_needed_only_to_start_is_missed(tmp_path: Path) -> None:
    copy_without("envoy", tmp_path)
    (tmp_path / "processes").unlink()
    shutil.copytree(ROOT / "processes", tmp_path / "processes")
    path = tmp_path / "processes" / "file.py"
    needed = "    stopping, limit = threading.Event(), StopLimit()\n"
    assert needed in path.read_text()
    path.write_text(path.read_text().replace(needed, f"    import families.envoy.model\n{needed}"))

    assert "'file': 1" in started(tmp_path).stdout
