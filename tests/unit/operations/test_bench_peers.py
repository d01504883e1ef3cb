from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from operations.bench import markdown
from operations.bench.measure import Figure
from operations.bench.peers import __main__ as command
from operations.bench.peers import centrifugo
from operations.bench.peers.comparison import Comparison, Unavailable

if TYPE_CHECKING:
    from pathlib import Path


def comparison(*turns: tuple[float, float], less: bool = False) -> Comparison:
    return Comparison(stage="route", peer="Peer 1.0", unit="events/CPU-s", differs="nothing", less=less, turns=[*turns])


def test_a_ratio_is_the_median_of_the_turns_not_the_ratio_of_the_medians() -> None:
    found = comparison((100, 50), (30, 60), (90, 30))

    assert (found.ours, found.theirs) == (90, 50)
    assert found.ratios == [0.5, 2, 3]
    assert found.ratio == 2


def test_a_higher_ratio_is_better_also_where_less_is() -> None:
    assert comparison((5, 50), less=True).ratio == 10


def test_a_peer_that_cannot_be_had_is_told_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    rig: Any = None

    with pytest.raises(Unavailable, match="not installed, and there is no go"):
        centrifugo.compare(rig, 1, tmp_path)


def test_tables_are_made_from_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "peers.json"
    measured = comparison((2_000, 1_000), (3_000, 1_000), (4_000, 1_000)).as_json() | {"stage": "route"}
    result.write_text(json.dumps({"peer route": measured, "other": {"skipped": "no other"}}))
    monkeypatch.setattr(command, "_RESULT", result)
    monkeypatch.setattr(sys, "argv", ["peers", "--table"])

    assert command.main() == 0

    assert capsys.readouterr().out.splitlines()[2:] == [
        "| `route` | 3,000 events/CPU-s | Peer 1.0, 1,000 | 3.00 | 2.00 to 4.00 |",
        "| | | other: skipped, no other | | |",
    ]


def test_a_stage_without_a_goal_has_none_in_the_table() -> None:
    made = {
        "value": 1_000.4,
        "unit": "events/CPU-s",
        "yardstick": 2_000,
        "ratio": 0.5,
        "against": "bare loop",
        "wall": "",
    }
    members = {name: Figure(stage=name, goal=goal, **made).as_json() for name, goal in (("a", 0.4), ("b", None))}  # type: ignore[arg-type]  # texts and numbers

    assert markdown.figures(members).splitlines()[2:] == [
        "| `a` | 1,000 events/CPU-s | bare loop, 2,000 | 0.50 | 0.40 |",
        "| `b` | 1,000 events/CPU-s | bare loop, 2,000 | 0.50 |  |",
    ]
