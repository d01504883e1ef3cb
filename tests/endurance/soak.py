"""A steady load for a long time: ``python -m tests.endurance.soak --minutes 10``.

Prints memory, file descriptors, what is missing and what has waited longest. Exit status 0 means that everything
arrived and nothing grew, 1 that not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.endurance.chaos import in_home
from tests.endurance.checks import figures, verdict
from tests.endurance.rehearsal import Rehearsal, rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.endurance.site import Site

_SAMPLES = 20
"""In a whole run."""

_WARM_UP = 0.2
"""Share of the samples that growth is not measured from: caches fill."""

MIB = 1_048_576
_SETTLE = 120.0
_OLDEST = 60.0
"""Seconds that an event may wait while nothing disturbs it."""


@dataclass(frozen=True)
class Sample:
    """One look at the processes.

    Attributes:
        memory: name of a process to its resident bytes.
        files: to its open file descriptors.
        missing: place to how many accepted events it has not.
        oldest: seconds that the oldest of them has waited.
    """

    memory: dict[str, int]
    files: dict[str, int]
    missing: dict[str, int]
    oldest: float


def sample(under: Rehearsal) -> Sample:
    """Look now."""
    missing = under.missing()
    pids = {name: process.pid for name, process in under.stage.site.processes.items()}
    memory = {name: _resident(Path(f"/proc/{pid}/status").read_text(encoding="ascii")) for name, pid in pids.items()}
    files = {name: len(list(Path(f"/proc/{pid}/fd").iterdir())) for name, pid in pids.items()}
    return Sample(memory, files, missing, under.oldest())


def _resident(status: str) -> int:
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


def memory_stays(samples: Sequence[Sample]) -> list[str]:
    """No process has a quarter more than after the warm-up, and 32 MiB."""
    first, last = samples[0].memory, samples[-1].memory
    return [
        f"{name} grew from {first[name] // MIB} to {last[name] // MIB} MiB"
        for name in last
        if last[name] > 1.25 * first[name] + 32 * MIB
    ]


def files_stay(samples: Sequence[Sample]) -> list[str]:
    """No process has 32 file descriptors more than after the warm-up."""
    first, last = samples[0].files, samples[-1].files
    return [f"{name}: {first[name]} to {last[name]} open files" for name in last if last[name] > first[name] + 32]


def nothing_waits_long(samples: Sequence[Sample]) -> list[str]:
    """The oldest event that is not everywhere is young."""
    oldest = max(each.oldest for each in samples)
    return [f"an event waited {oldest:.0f} s"] if oldest > _OLDEST else []


LIMITS: Sequence[Callable[[Sequence[Sample]], list[str]]] = (memory_stays, files_stay, nothing_waits_long)
"""What must hold of the samples after the warm-up, one function each."""


def errors(site: Site) -> Counter[str]:
    """How often each process logged each error."""
    found: Counter[str] = Counter()
    for path in sorted((site.home / "logs").glob("*.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("{"):
                said = json.loads(line)
                if said["level"] in {"error", "critical"}:
                    found[f"{path.stem}: {said['message'][:100]}"] += 1
    return found


async def run(home: Path, *, minutes: float, rate: float) -> list[str]:
    """Soak; everything that is wrong in the end."""
    async with rehearsal(home, brokers=1, rate=rate) as under:
        sending = asyncio.create_task(under.load.run())
        samples = []
        begun = time.monotonic()
        for number in range(1, _SAMPLES + 1):
            await asyncio.sleep(max(0.0, begun + number * minutes * 60 / _SAMPLES - time.monotonic()))
            samples.append(sample(under))
            _print(time.monotonic() - begun, len(under.load.accepted), samples[-1])
        under.load.stop()
        await sending
        await under.settled(_SETTLE)
        evidence = await under.evidence()
        print("answers:", dict(sorted(under.load.answers.items())))
        for name, count in figures(evidence).items():
            print(f"  {name:<28} {count:>8}")
        for name, times in errors(under.stage.site).items():
            print(f"  {times} x {name}")
        warm = samples[int(_WARM_UP * _SAMPLES) :]
        return verdict(evidence) + [line for limit in LIMITS for line in limit(warm)]


def _print(seconds: float, accepted: int, found: Sample) -> None:
    each = "  ".join(f"{name} {found.memory[name] // MIB} MiB {found.files[name]} files" for name in found.memory)
    print(f"{seconds:5.0f} s  {accepted} accepted, oldest {found.oldest:.1f} s, missing {found.missing or 0}")
    print(f"         {each}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, soak, print the verdict."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second")
    parser.add_argument("--keep", action="store_true", help="keep data and logs")
    chosen = parser.parse_args(arguments)
    return in_home(lambda home: run(home, minutes=chosen.minutes, rate=chosen.rate), keep=chosen.keep)


if __name__ == "__main__":
    sys.exit(main())
