"""``make bench``: run the stages, print the table, write ``build/bench.json``; exit status 1 when a goal is missed."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from operations.bench import files, ingest, pipeline, realtime, route, webhooks
from operations.bench.rig import rig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.bench.measure import Figure

_STAGES = {
    "ingest": ingest.figures,
    "route": route.figures,
    "pipeline": pipeline.figures,
    "webhook": webhooks.figures,
    "file": files.figures,
    "realtime": realtime.figures,
}
_HOME = Path("build/bench")
_RESULT = Path("build/bench.json")


def main() -> int:
    """Run the stages named on the command line, or all."""
    parser = argparse.ArgumentParser(prog="python -m operations.bench", description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="stage", help=f"{', '.join(_STAGES)}; default: all")
    chosen = parser.parse_args().stages or list(_STAGES)
    unknown = set(chosen) - set(_STAGES)
    if unknown:
        parser.error(f"unknown stage: {', '.join(sorted(unknown))}")
    shutil.rmtree(_HOME, ignore_errors=True)
    figures: list[Figure] = []
    for name in chosen:
        # A broker of its own: no stage pays for what an earlier one left behind.
        with rig((_HOME / name).resolve()) as installation:
            print(f"Measuring {name} …")
            figures += _STAGES[name](installation)
    _write(figures)
    _print(figures)
    return 0 if all(figure.met for figure in figures) else 1


def _write(figures: Sequence[Figure]) -> None:
    """Stages that were not run this time keep what an earlier run said."""
    earlier = json.loads(_RESULT.read_text()) if _RESULT.exists() else {}
    earlier.update({figure.stage: figure.as_json() for figure in figures})
    _RESULT.write_text(json.dumps(earlier, indent=2) + "\n")


def _print(figures: Sequence[Figure]) -> None:
    table = Table("stage", "value", "yardstick", "ratio", "goal", "", "by the clock", title="Headrace benchmarks")
    for figure in figures:
        table.add_row(
            figure.stage,
            f"{figure.value:,.1f} {figure.unit}",
            f"{figure.yardstick:,.1f} ({figure.against})",
            f"{figure.ratio:.2f}",
            "" if figure.goal is None else f"{figure.goal:.2f}",
            "met" if figure.met else "MISSED",
            figure.wall,
        )
    Console(width=180 if not sys.stdout.isatty() else None).print(table)


if __name__ == "__main__":
    sys.exit(main())
