"""Faults by chance under load: ``python -m tests.endurance.chaos --seed 7 --rounds 5``.

A seed decides the whole plan. Exit status 0 means that every check of ``checks`` held, 1 that one did not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.endurance import replays
from tests.endurance.checks import figures, verdict
from tests.endurance.faults import FAULTS, Fault
from tests.endurance.load import patiently
from tests.endurance.rehearsal import Rehearsal, rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

_AT_ONCE = 3
"""Faults in one round, at most."""

_LONGEST_START = 3.0
"""Seconds that a fault of a round may begin after the first."""

_CALM = 2.0
"""Seconds of load before the first round and after each."""


@dataclass(frozen=True)
class Planned:
    """A fault, and how many seconds after its round begins it begins."""

    after: float
    fault: Fault


def plan(seed: int, rounds: int, *, brokers: int = 1, only: Sequence[str] = ()) -> list[list[Planned]]:
    """The faults of each round; the same for the same arguments."""
    dice = random.Random(seed)
    kinds = [each for each in FAULTS if brokers in each.brokers and (not only or each.name in only)]
    return [_round(dice, kinds) for _ in range(rounds)]


def _round(dice: random.Random, kinds: Sequence[type[Fault]]) -> list[Planned]:
    drawn: dict[str, Planned] = {}
    for _ in range(dice.randint(1, _AT_ONCE)):
        fault = dice.choice(kinds).draw(dice)
        drawn.setdefault(fault.target, Planned(round(dice.uniform(0, _LONGEST_START), 1), fault))
    return list(drawn.values())


async def run(
    home: Path, rounds: Sequence[Sequence[Planned]], *, brokers: int, rate: float, settle: float
) -> list[str]:
    """Play a plan; everything that is wrong in the end."""
    async with rehearsal(home, brokers=brokers, rate=rate) as under:
        sending = asyncio.create_task(under.load.run())
        await asyncio.sleep(_CALM)
        for number, faults in enumerate(rounds, 1):
            await _play(under, number, faults)
            took = await under.settled(settle)
            said = f"settled after {took:.1f} s" if took is not None else under.troubles[-1]
            print(f"  accepted {len(under.load.accepted)}, refused {len(under.load.refused)}; {said}", flush=True)
            if took is None:
                break
        under.load.stop()
        await sending
        await under.settled(settle)
        evidence = await under.evidence()
        print("answers:", dict(sorted(under.load.answers.items())))
        for name, count in figures(evidence).items():
            print(f"  {name:<28} {count:>8}")
        return verdict(evidence)


async def _play(under: Rehearsal, number: int, faults: Sequence[Planned]) -> None:
    print(f"round {number}", *(f"\n  +{each.after:.1f} s {each.fault}" for each in faults), flush=True)
    # Under way while the faults come, and the replayer is one of those that they come to.
    await patiently(lambda: replays.begin(under.stage.api, under.stage.endpoints["steady"]), 90)
    results = await asyncio.gather(*(_begin(under, each) for each in faults), return_exceptions=True)
    under.troubles += [f"round {number}: {result!r}" for result in results if result is not None]
    await asyncio.sleep(_CALM)


async def _begin(under: Rehearsal, planned: Planned) -> None:
    await asyncio.sleep(planned.after)
    await planned.fault.run(under.stage)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, play the plan, print the verdict."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="decides the plan; by default another each time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--faults", default="", help=f"of {', '.join(each.name for each in FAULTS)}; default: all")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second")
    parser.add_argument("--settle", type=float, default=180.0, help="seconds until everything must have arrived")
    parser.add_argument("--plan", action="store_true", help="print the plan only")
    parser.add_argument("--keep", action="store_true", help="keep data and logs")
    chosen = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if chosen.seed is None else chosen.seed
    only = [name for name in chosen.faults.split(",") if name]
    unknown = set(only) - {each.name for each in FAULTS if chosen.brokers in each.brokers}
    if unknown:
        parser.error(f"no such fault with {chosen.brokers} brokers: {', '.join(sorted(unknown))}")
    rounds = plan(seed, chosen.rounds, brokers=chosen.brokers, only=only)
    print(f"chaos --seed {seed} --rounds {chosen.rounds} --brokers {chosen.brokers} --faults {','.join(only) or 'all'}")
    if chosen.plan:
        for number, faults in enumerate(rounds, 1):
            print(f"round {number}", *(f"\n  +{each.after:.1f} s {each.fault}" for each in faults))
        return 0
    return in_home(
        lambda home: run(home, rounds, brokers=chosen.brokers, rate=chosen.rate, settle=chosen.settle),
        keep=chosen.keep,
    )


def in_home(play: Callable[[Path], Coroutine[None, None, list[str]]], *, keep: bool) -> int:
    """Run a program in a directory of its own, and print its verdict; the exit status.

    The directory is kept if something is wrong.
    """
    for name in [name for name in os.environ if name.startswith("HEADRACE_")]:
        del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="headrace-endurance-"))
    begun = time.monotonic()
    wrong = ["it did not end"]
    try:
        wrong = asyncio.run(play(home))
    finally:
        print(f"{time.monotonic() - begun:.0f} s;", "WRONG:" if wrong else "everything held.")
        for line in wrong:
            print(f"  {line}")
        if wrong or keep:
            print(f"data and logs are in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
