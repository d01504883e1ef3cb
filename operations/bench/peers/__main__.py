"""``make bench-peers``: measure Headrace and its peers in turns, print the table, write ``build/bench-peers.json``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from operations.bench import markdown
from operations.bench.peers import centrifugo, fastapi, routing
from operations.bench.peers.comparison import Unavailable
from operations.bench.rig import rig

_PEERS = {"centrifugo": centrifugo.compare, "fastapi": fastapi.compare, "quix": routing.quix, "faust": routing.faust}
_HOME = Path("build/bench-peers")
_RESULT = Path("build/bench-peers.json")
_TURNS = 5


def main() -> int:
    """Compare with the peers named on the command line, or with all that can be had."""
    parser = argparse.ArgumentParser(prog="python -m operations.bench.peers", description=__doc__)
    parser.add_argument("peers", nargs="*", metavar="peer", help=f"{', '.join(_PEERS)}; default: all")
    parser.add_argument("--turns", type=int, default=_TURNS, help="in which each is measured (%(default)s)")
    parser.add_argument(
        "--programs",
        type=Path,
        default=Path("~/.cache/headrace-peers"),
        help="where programs of peers are, and are built (%(default)s)",
    )
    parser.add_argument("--table", action="store_true", help=f"measure nothing; print {_RESULT} as Markdown")
    arguments = parser.parse_args()
    if arguments.table:
        print(markdown.peers(json.loads(_RESULT.read_text())))
        return 0
    unknown = set(arguments.peers) - set(_PEERS)
    if unknown:
        parser.error(f"unknown peer: {', '.join(sorted(unknown))}")
    programs = arguments.programs.expanduser().resolve()
    programs.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(_HOME, ignore_errors=True)
    for name in arguments.peers or _PEERS:
        with rig((_HOME / name).resolve()) as installation:
            print(f"Measuring {name} …")
            try:
                found = _PEERS[name](installation, arguments.turns, programs)
            except Unavailable as reason:
                print(f"Skipped {name}: {reason}.")
                _write({name: {"skipped": str(reason)}})
                continue
        _write({f"{name} {each.stage}": each.as_json() | {"stage": each.stage} | _conditions() for each in found})
    _print(json.loads(_RESULT.read_text()))
    return 0


def _conditions() -> dict[str, object]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "load": round(os.getloadavg()[0], 1),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, CPython {platform.python_version()}",
    }


def _write(members: dict[str, Any]) -> None:
    """Peers that were not measured this time keep what an earlier run said."""
    earlier = json.loads(_RESULT.read_text()) if _RESULT.exists() else {}
    _RESULT.write_text(json.dumps(earlier | members, indent=2) + "\n")


def _print(members: dict[str, Any]) -> None:
    table = Table(
        "stage", "peer", "Headrace", "the peer", "ratio", "of all turns", "load", title="Headrace beside its peers"
    )
    for name, each in members.items():
        if "skipped" in each:
            table.add_row("", name, "", "", "", f"skipped: {each['skipped']}", "")
            continue
        ratios = each["ratios"]
        table.add_row(
            each["stage"],
            each["peer"],
            f"{each['ours']:,.0f} {each['unit']}",
            f"{each['theirs']:,.0f}",
            f"{each['ratio']:.2f}",
            f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
            f"{each['load']}",
        )
    Console(width=160 if not sys.stdout.isatty() else None).print(table)


if __name__ == "__main__":
    sys.exit(main())
