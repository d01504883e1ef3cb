"""Calls into librdkafka that may never return, whatever timeout they are given.

``send_offsets_to_transaction`` is one. It waits for ever when the group's coordinator leaves the cluster's metadata, as
a broker does that is restarted (librdkafka issues 5456 and 5511). A thread that waits there cannot be woken, so a call
is made on a thread that can be left behind.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class CallHangs(Exception):
    """The call has not returned; its thread was left behind with it."""


class CallThread:
    """Makes one call at a time on a thread of its own. Threads that are left behind do not keep the process alive.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._answers: SimpleQueue[BaseException | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def run(self, call: Callable[[], None], seconds: float) -> None:
        """Call, wait for the end, and raise what it raised.

        Raises:
            CallHangs: not within ``seconds``. Only ``finish`` may follow.
        """
        if self._thread.ident is None:
            self._thread.start()
        self._calls.put(call)
        try:
            error = self._answers.get(timeout=seconds)
        except Empty as empty:
            raise CallHangs(f"no return within {seconds:g} s") from empty
        if error is not None:
            raise error

    def finish(self, last: Callable[[], None] | None = None) -> None:
        """Make a last call once the present one returns, if it ever does, and end the thread. Does not wait."""
        if last is not None:
            if self._thread.ident is None:
                self._thread.start()
            self._calls.put(last)
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            error = None
            try:
                call()
            except BaseException as raised:  # noqa: BLE001  # raised again by the one who waits
                error = raised
            self._answers.put(error)
            del call, error
