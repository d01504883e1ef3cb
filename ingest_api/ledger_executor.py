"""How the gateway waits for the ledger: never for long. It is a view, and events are accepted without it."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from backbone.workspace_queue import WORKSPACE, WorkspaceQueue
from schemas.model.errors import LedgerUnavailable, Misconfigured, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.ledger.writer import LedgerWriter

log = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

_START_SECONDS = 5.0
"""How long a start waits for an answer."""

_RETRY_SECONDS = 1.0

_AT_ONCE, _AT_ONCE_OF_WORKSPACE = 8, 4
"""Questions that are put to the ledger at the same time; the others wait for one of them to be answered."""


class LedgerThreads(Executor):
    """Threads for the ledger alone: while a database hangs, all else that blocks has others.

    Workspaces take turns, and none has all of the threads: one that asks for much does not keep the others waiting.
    Nobody waits for them at the end of the process either, as for those of the standard library's pool.
    """

    def __init__(self) -> None:
        self._questions: WorkspaceQueue[tuple[Future[Any], Callable[[], Any]]] = WorkspaceQueue(_AT_ONCE_OF_WORKSPACE)
        self._started = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have it called on one of the threads, as soon as one is free for the workspace. From one thread only."""
        future: Future[T] = Future()
        self._questions.put(WORKSPACE.get(), (future, functools.partial(fn, *args, **kwargs)))
        if self._started < _AT_ONCE:
            self._started += 1
            threading.Thread(target=self._answer, name=f"ledger-{self._started}", daemon=True).start()
        return future

    def _answer(self) -> None:
        while True:
            self._questions.done(_answer_next(self._questions))


async def answered(question: Callable[[], T], *, seconds: float, threads: Executor | None = None) -> T:
    """What the ledger answers. A database that does not in time is left to itself, on its thread.

    Args:
        question: blocks until the database answers.
        seconds: that it may take.
        threads: where it is asked; None for those that all share.

    Raises:
        Unavailable: it did not.
    """
    asked = asyncio.get_running_loop().run_in_executor(threads, question)
    try:
        return await asyncio.wait_for(asked, seconds)
    except TimeoutError as error:
        raise LedgerUnavailable("the ledger does not answer in time") from error


async def opened(ledger: LedgerWriter, *, patient: bool, threads: Executor | None = None) -> asyncio.Task[None] | None:
    """Make the ledger's tables. If ``patient`` and no database answers yet, the task that does so once one answers.

    Raises:
        Misconfigured: it cannot be written, or is a later version's.
        Unavailable: there is none, and not ``patient``.
    """
    if not patient:
        await asyncio.to_thread(ledger.create)
        return None
    try:
        await answered(ledger.create, seconds=_START_SECONDS, threads=threads)
    except Unavailable:
        return asyncio.create_task(_made(ledger, threads))
    return None


async def _made(ledger: LedgerWriter, threads: Executor | None) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            await loop.run_in_executor(threads, ledger.create)
        except Unavailable as error:
            log.warning("waiting for the ledger", extra={"reason": str(error)})
            await asyncio.sleep(_RETRY_SECONDS)
        except Misconfigured as error:
            log.error("the ledger cannot be used", extra={"reason": str(error)})  # noqa: TRY400  # said in full
            return
        else:
            return


def _answer_next(questions: WorkspaceQueue[tuple[Future[Any], Callable[[], Any]]]) -> str:
    ((workspace, question),) = questions.take(1)
    _settle(*question)
    return workspace


def _settle(future: Future[Any], question: Callable[[], Any]) -> None:
    # A function of its own: what is named here would be kept until the next question, and answers can be large.
    if not future.set_running_or_notify_cancel():
        return  # given up before its turn
    try:
        answer = question()
    except BaseException as error:  # noqa: BLE001 -- whatever it is, who asked is told
        future.set_exception(error)
    else:
        future.set_result(answer)
