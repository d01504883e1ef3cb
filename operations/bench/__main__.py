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

from operations.bench import (
    backlog,
    figures_lists,
    files,
    http_neighbours,
    ingest,
    isolation,
    ledger,
    ledger_lists,
    markdown,
    neighbours,
    pipeline,
    realtime,
    route,
    webhooks,
)
from operations.bench.rig import rig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.bench.measure import Figure

_STAGES = {
    "ingest": ingest.figures,
    "route": route.figures,
    "neighbours": neighbours.figures,
    "pipeline": pipeline.figures,
    "webhook": webhooks.figures,
    "webhook.isolation": isolation.figures,
    "file": files.figures,
    "ledger": ledger.figures,
    "ledger.lists": ledger_lists.figures,
    "operations.lists": figures_lists.figures,
    "realtime": realtime.figures,
    "neighbours.http": http_neighbours.figures,
}
_ON_REQUEST = {"webhook.backlog": backlog.figures}
"""Stages that take many minutes, and a gigabyte of disk: they are run by name only."""

_DELIVERIES = 500_000
_HOME = Path("build/bench")
_RESULT = Path("build/bench.json")


def main() -> int:
    """Run the stages named on the command line, or all."""
    parser = argparse.ArgumentParser(prog="python -m operations.bench", description=__doc__)
    parser.add_argument(
        "stages",
        nargs="*",
        metavar="stage",
        help=f"{', '.join(_STAGES)}; default: all of these. By name only: {', '.join(_ON_REQUEST)}",
    )
    parser.add_argument("--deliveries", type=int, default=_DELIVERIES, help="that ledger.lists generates (%(default)s)")
    parser.add_argument("--table", action="store_true", help=f"measure nothing; print {_RESULT} as Markdown")
    arguments = parser.parse_args()
    if arguments.table:
        print(markdown.figures(json.loads(_RESULT.read_text())))
        return 0
    chosen = arguments.stages or list(_STAGES)
    stages = _STAGES | _ON_REQUEST
    unknown = set(chosen) - set(stages)
    if unknown:
        parser.error(f"unknown stage: {', '.join(sorted(unknown))}")
    shutil.rmtree(_HOME, ignore_errors=True)
    figures: list[Figure] = []
    for name in chosen:
        # A broker of its own: no stage pays for what an earlier one left behind.
        with rig((_HOME / name).resolve()) as installation:
            print(f"Measuring {name} …")
            installation.deliveries = arguments.deliveries
            figures += stages[name](installation)
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
