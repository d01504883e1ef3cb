"""Quix Streams and Faust: events decoded, matched with a condition, and forwarded."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from operations.bench import route
from operations.bench.peers.comparison import Comparison, Unavailable
from operations.bench.setup import schema_of

if TYPE_CHECKING:
    from pathlib import Path

    from operations.bench.rig import Rig

_QUIX_EVENTS, _FAUST_EVENTS = 100_000, 30_000
_CODE = "bench.peers{turn}"


def quix(rig: Rig, turns: int, _programs: Path) -> list[Comparison]:
    """Quix Streams, in a virtual environment that is made once.

    Raises:
        Unavailable: it could not be installed.
    """
    try:
        python = route.quix_python()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"Quix Streams could not be installed: {error}") from error
    found = _comparison(f"Quix Streams {route.QUIX_VERSION}")
    found.turns.extend(_turn(rig, turn, "quix_route", python, _QUIX_EVENTS) for turn in range(turns))
    return [found]


def faust(rig: Rig, turns: int, _programs: Path) -> list[Comparison]:
    """A Faust agent, with the library that Headrace has installed for its router."""
    found = _comparison(f"Faust {version('faust-streaming')}")
    found.turns.extend(_turn(rig, turn, "faust_route", sys.executable, _FAUST_EVENTS) for turn in range(turns))
    return [found]


def _comparison(peer: str) -> Comparison:
    return Comparison(
        stage="route",
        peer=peer,
        unit="events/CPU-s",
        differs="Headrace routes exactly once and looks for subscriptions; the peer has the one condition in its code",
    )


def _turn(rig: Rig, turn: int, yardstick: str, python: str, events: int) -> tuple[float, float]:
    # A topic for each turn: the router's group has read that of the turn before.
    with rig.plane("ingest"):
        producer = route.filled(rig, _CODE.format(turn=turn), events)
        job = route.yardstick_job(rig, producer.topic, schema_of(rig, producer.topic), events)
    ours = route.routed(rig, producer.topic, events)
    return ours.per_cpu_second, route.routed_by(rig, yardstick, job, python).per_cpu_second
