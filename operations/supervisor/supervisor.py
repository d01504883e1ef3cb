"""Keeps the parts of an installation running: starts them in order, restarts what ends, stops them in reverse order."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import time
from enum import StrEnum
from typing import TYPE_CHECKING

from operations.errors import CannotStart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operations.supervisor.processes import Process

BACKOFF_FIRST = 0.5
BACKOFF_MOST = 15.0
BACKOFF_DOUBLINGS = 10
"""At most: a number that is doubled for hours is beyond all numbers."""

STEADY_AFTER = 30.0
"""Seconds of being ready after which an end counts as the first again."""

TRIES_TO_BECOME_READY = 3

LINE_END = 80
"""Characters at each end of a part's last line that are shown with what is the matter with it."""


class PartState(StrEnum):
    """Where a part stands."""

    WAITING = "waiting"
    STARTING = "starting"
    LATE = "late"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclasses.dataclass(kw_only=True)
class Part:
    """One process of the installation and how it stands.

    Attributes:
        ready: asked while it starts, until it says True.
        note: a line for the person who watches.
        trouble: another, while it is late or ended of itself: what is the matter and where to look.
        start_timeout: seconds it may take to become ready; past them it is late.
        patient: whether it is waited for even when it is late at its first start: there may be much to read.
        stop_grace: seconds between SIGTERM and SIGKILL.
        before_start: called before each start.
        changed_at: on the monotonic clock, seconds.
    """

    process: Process
    ready: Callable[[], bool]
    note: str = ""
    trouble: str = ""
    start_timeout: float = 90.0
    patient: bool = False
    stop_grace: float = 15.0
    before_start: Callable[[], None] = lambda: None
    state: PartState = PartState.WAITING
    changed_at: float = 0.0
    started_at: float = 0.0
    ends: int = 0
    was_ready: bool = False

    @property
    def name(self) -> str:
        """The process's name."""
        return self.process.name


class Supervisor:
    """Stages of parts: a stage starts when all of the one before it are ready.

    Call ``tick`` a few times a second, from one thread; nothing happens in between. A part that ends after it was ready
    is started again, after 0.5 s at first and then ever later up to 15 s. One that then is late is left alone while it
    runs: what it has to read first does not get less by beginning again. One that never becomes ready is given up.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[Part]],
        *,
        on_change: Callable[[Part], None],
        backoff_first: float = BACKOFF_FIRST,
    ) -> None:
        self._stages = stages
        self._on_change = on_change
        self._backoff_first = backoff_first

    @property
    def parts(self) -> list[Part]:
        """All of them, in the order of starting."""
        return [part for stage in self._stages for part in stage]

    @property
    def ready(self) -> bool:
        """Whether every part is."""
        return all(part.state is PartState.READY for part in self.parts)

    def tick(self) -> None:
        """Look after every part once.

        Raises:
            CannotStart: a part does not become ready; the message ends with what it wrote last.
        """
        for stage in self._stages:
            for part in stage:
                self._look_after(part)
            if not all(part.was_ready for part in stage):
                return

    def stop(self) -> None:
        """Stop everything, the last stage first; within a stage at once."""
        for stage in reversed(self._stages):
            running = [part for part in stage if part.process.running()]
            for part in running:
                self._set(part, PartState.STOPPING)
                part.process.terminate()
            deadline = time.monotonic() + max((part.stop_grace for part in running), default=0)
            for part in running:
                part.process.stop(max(deadline - time.monotonic(), 0))
                self._set(part, PartState.STOPPED)

    def kill(self) -> None:
        """End everything at once."""
        for part in reversed(self.parts):
            part.process.kill()

    def _look_after(self, part: Part) -> None:
        now = time.monotonic()
        if part.state is PartState.WAITING:
            self._start(part)
        elif part.state is PartState.RESTARTING:
            if now >= part.changed_at + self._backoff(part):
                self._start(part)
        elif not part.process.running():
            self._ended(part, now)
        elif part.state in {PartState.STARTING, PartState.LATE}:
            self._await(part, now)
        part.process.bound_log()

    def _await(self, part: Part, now: float) -> None:
        if part.ready():
            part.was_ready, part.trouble = True, ""
            self._set(part, PartState.READY)
        elif part.state is PartState.STARTING and now - part.started_at > part.start_timeout:
            if not (part.was_ready or part.patient):
                self._give_up(part, f"is not ready after {part.start_timeout:.0f} s")
            part.trouble = f"not ready after {part.start_timeout:.0f} s, still running and waited for; {_said(part)}"
            self._set(part, PartState.LATE)

    def _start(self, part: Part) -> None:
        part.before_start()
        part.process.start()
        part.started_at = time.monotonic()
        self._set(part, PartState.STARTING)

    def _ended(self, part: Part, now: float) -> None:
        # What it left in its process group would keep ports and files from the next one.
        part.process.kill()
        if part.state is PartState.READY and now - part.changed_at > STEADY_AFTER:
            part.ends = 0
        part.ends += 1
        if not part.was_ready and part.ends >= TRIES_TO_BECOME_READY:
            self._give_up(part, f"ended {part.ends} times before it was ready")
        end, pause = _end(part.process.exit_status()), self._backoff(part)
        part.trouble = f"{end}, to be started again in {pause:.1f} s; {_said(part)}"
        self._set(part, PartState.RESTARTING)

    def _backoff(self, part: Part) -> float:
        return min(self._backoff_first * 2.0 ** min(part.ends - 1, BACKOFF_DOUBLINGS), BACKOFF_MOST)

    def _set(self, part: Part, state: PartState) -> None:
        part.state = state
        part.changed_at = time.monotonic()
        self._on_change(part)

    @staticmethod
    def _give_up(part: Part, why: str) -> None:
        raise CannotStart(f"{part.name} {why}. Its log, {part.process.log}, ends:\n{part.process.last_words()}")


def _end(status: int | None) -> str:
    """How a process with that exit status ended, for a person."""
    if status is None or status >= 0:
        return f"ended with status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


def _said(part: Part) -> str:
    """Where to read on, and the last line there, of a plane's JSON the message, without its middle if it is long."""
    last = part.process.last_words(1)
    with contextlib.suppress(ValueError, TypeError, KeyError):
        last = str(json.loads(last)["message"])
    if len(last) > 2 * LINE_END:
        last = f"{last[:LINE_END]} … {last[-LINE_END:]}"
    return f"its log is {part.process.log}" + (f": {last}" if last else "")
