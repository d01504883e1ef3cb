"""The fault hook: lets a test strike a router between producing and committing, where exactly-once is decided."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from schemas.model.errors import TransactionAborted

BeforeCommit = Callable[[], None]
"""Called in every routing transaction after its records were produced and before it commits."""


def no_fault() -> None:
    """What runs outside tests."""


def parse_fault(text: str | None) -> BeforeCommit:
    """``kill:<n>`` (SIGKILL), ``stop:<n>`` (SIGSTOP) or ``abort:<n>`` (raise) in the n-th transaction; None never."""
    if text is None:
        return no_fault
    kind, _, number = text.partition(":")
    countdown = iter(range(int(number) - 1, -1, -1))

    def strike() -> None:
        if next(countdown, None) != 0:
            return
        if kind == "abort":
            raise TransactionAborted("aborted by the fault hook")
        os.kill(os.getpid(), signal.SIGKILL if kind == "kill" else signal.SIGSTOP)

    return strike
