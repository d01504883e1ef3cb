"""The tables of the README and of docs/benchmarks.md, made from what was measured."""

from __future__ import annotations

from typing import Any


def figures(members: dict[str, dict[str, Any]]) -> str:
    """Rows for ``build/bench.json``."""
    lines = ["| stage | measured | yardstick | ratio | goal |", "|---|---:|---|---:|---:|"]
    for stage, each in members.items():
        goal = "" if each["goal"] is None else f"{each['goal']:.2f}"
        yardstick = f"{each['against']}, {each['yardstick']:,.0f}"
        lines.append(
            f"| `{stage}` | {each['value']:,.0f} {each['unit']} | {yardstick} | {each['ratio']:.2f} | {goal} |"
        )
    return "\n".join(lines)


def peers(members: dict[str, dict[str, Any]]) -> str:
    """Rows for ``build/bench-peers.json``."""
    lines = ["| stage | Headrace | peer | ratio | of all turns |", "|---|---:|---|---:|---|"]
    for name, each in members.items():
        if "skipped" in each:
            lines.append(f"| | | {name}: skipped, {each['skipped']} | | |")
            continue
        ratios = each["ratios"]
        lines.append(
            f"| `{each['stage']}` | {each['ours']:,.0f} {each['unit']} | {each['peer']}, {each['theirs']:,.0f} "
            f"| {each['ratio']:.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} |"
        )
    return "\n".join(lines)
