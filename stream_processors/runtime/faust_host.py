"""The Faust worker: agents over bounded channels of batches.

Faust takes about 55 µs for each item that flows through an agent, so an item is a batch of raw messages. Faust provides
the worker, the agents and their supervision. Headrace itself reads, runs transactions and handles rebalances; Faust's
Kafka clients are not started (docs/adr/0003-faust-without-its-kafka-clients.md).
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Protocol, cast

import faust
from faust.app.base import BootStrategy
from mode.supervisors import CrashingSupervisor
from mode.utils.queues import FlowControlEvent, ThrowableQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from faust.types import StreamT

    from stream_processors.runtime.reader import Batch, BatchReader
    from stream_processors.settings import ProcessorSettings


_READY_CHECK = 0.05
"""Seconds between two checks whether the readers are ready."""


class BatchAgent(Protocol):
    """Handles the batches of a reader."""

    reader: BatchReader

    def handle(self, batch: Batch) -> None:
        """Handle one batch. Blocks; called on a thread, one batch at a time. An exception ends the worker."""

    def go_on(self) -> bool:
        """Continue with the work that earlier batches left; False if there is none. Blocks, as ``handle`` does."""

    def close(self) -> None:
        """Wait for the batch that is being handled, and release the agent's resources."""


class _Boot(BootStrategy):
    """Sensors and agents."""

    enable_kafka = False


class _App(faust.App):
    BootStrategy = _Boot


class _Batches(faust.Channel[Any]):
    """A bounded channel whose queue is not blocked or emptied by Faust's flow control."""

    @property
    def queue(self) -> ThrowableQueue[Batch]:
        """The queue of this subscriber."""
        if self._queue is None:
            flowing = FlowControlEvent(initially_suspended=False)
            self._queue = ThrowableQueue(maxsize=self.maxsize, flow_control=flowing)
        return self._queue


class _ReaderService(faust.Service):
    """Runs a reader on a thread and puts its batches on the channel; a full channel blocks the thread."""

    def __init__(self, reader: BatchReader, channel: _Batches, **kwargs: Any) -> None:
        self._reader = reader
        self._channel = channel
        self._waiting: Future[None] | None = None
        super().__init__(**kwargs)

    async def on_start(self) -> None:
        """Start the thread."""
        self._running_loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._read, name=f"{self._reader.agent}-reader", daemon=True)
        self._thread.start()

    async def on_stop(self) -> None:
        """Stop the thread; drop a batch that waits for room: the next owner reads it again."""
        self._reader.stop()
        if self._waiting is not None:
            self._waiting.cancel()
        await asyncio.to_thread(self._thread.join)

    def _read(self) -> None:
        try:
            self._reader.run(self._hand_over)
        except CancelledError:
            pass  # stopped while a batch waited for room
        except Exception as error:  # noqa: BLE001  # after any failure, a worker that does not read must not look alive
            asyncio.run_coroutine_threadsafe(self.crash(error), self._running_loop)

    def _hand_over(self, batch: Batch) -> None:
        self._waiting = asyncio.run_coroutine_threadsafe(self._channel.put(cast("Any", batch)), self._running_loop)
        if self._reader.stopping:
            self._waiting.cancel()
        self._waiting.result()


def create_app(settings: ProcessorSettings, name: str, agents: Sequence[BatchAgent]) -> faust.App:
    """The Faust app of one worker.

    Args:
        settings: of the worker.
        name: the Faust app id; no two processes share one.
        agents: each gets a reader service, a channel and a Faust agent.
    """
    app = _App(
        name,
        broker=f"kafka://{settings.kafka.bootstrap_servers}",
        datadir=settings.backbone.data_dir / "faust",
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    for agent in agents:
        _add_agent(app, agent, settings.queued_batches)

    return app


def _add_agent(app: faust.App, agent: BatchAgent, queued: int) -> None:
    channel = _Batches(app, maxsize=queued)

    # An agent that failed outside its handler has lost a batch: the worker ends, and its successor reads it again.
    @app.agent(channel, name=agent.reader.agent, supervisor_strategy=CrashingSupervisor)
    async def handle(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            agent.reader.take(batch)
            await asyncio.to_thread(agent.handle, batch)
            while not agent.reader.has_fetched and await asyncio.to_thread(agent.go_on):
                pass

    # An instance is fine where Faust's annotation asks for a class.
    app.service(cast("Any", _ReaderService(agent.reader, channel)))


class _Worker(faust.Worker):
    """A worker inside ``main.run``, which owns the signals, the logging and the working directory."""

    def install_signal_handlers(self) -> None:
        """Leave them alone."""


async def run_app(
    app: faust.App, agents: Sequence[BatchAgent], stop: asyncio.Event, on_ready: Callable[[], None]
) -> None:
    """Run the worker until ``stop`` is set; ``on_ready`` is called when every agent's reader has found its topics.

    Raises:
        Exception: the failure that ended the worker.
    """
    worker = _Worker(app, quiet=True, override_logging=False, daemon=False)
    worker.spinner = None
    await worker.start()
    if await asyncio.to_thread(_all_following, agents, lambda: stop.is_set() or worker.should_stop):
        on_ready()
    stopped = asyncio.ensure_future(stop.wait())
    crashed = asyncio.ensure_future(worker.wait_until_stopped())
    await asyncio.wait({stopped, crashed}, return_when=asyncio.FIRST_COMPLETED)
    for waiting in (stopped, crashed):
        waiting.cancel()
    await worker.stop()
    if worker.crash_reason is not None:
        raise worker.crash_reason


def _all_following(agents: Sequence[BatchAgent], given_up: Callable[[], bool]) -> bool:
    """Wait until every reader has subscribed to its topics; False when the worker stops before."""
    for agent in agents:
        while not agent.reader.following.wait(_READY_CHECK):
            if given_up():
                return False
    return True
