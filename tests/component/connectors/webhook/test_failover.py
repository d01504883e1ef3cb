"""Workers that are killed, stopped and joined by others: nothing is lost, and little is sent twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from typing import TYPE_CHECKING

from aiohttp import web

from schemas.model.delivery import Outcome
from tests.component.connectors.post_office import SECRET_KEY, until
from tests.component.connectors.webhook.ordered.contracts import Contracts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.receiver import Mailbox, Receiver

CONNECTOR = (
    "from processes.connector import run; from processes.settings import ConnectorSettings;"
    "run('webhook', ConnectorSettings())"
)


class Connector:
    """One ``headrace connector webhook`` process."""

    def __init__(self, office: PostOffice, directory: Path, *, node: str, before: str) -> None:
        directory.mkdir()
        self.log = directory / "log"
        self.ready = directory / "ready"
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": office.settings.bootstrap_servers,
            "HEADRACE_DATA_DIR": str(directory),
            "HEADRACE_NODE_ID": node,
            "HEADRACE_SECRET_KEYS": SECRET_KEY,
            "HEADRACE_READY_FILE": str(self.ready),
            "HEADRACE_WEBHOOK_ALLOW": "127.0.0.1",
            # However slow the machine is: what is under way when the worker is told to stop comes to its end.
            "HEADRACE_WEBHOOK_DRAIN": "60",
        }
        with self.log.open("wb") as log:
            # An interpreter of its own: ``before`` changes modules that others copy names from as they are imported.
            self.process = subprocess.Popen([sys.executable, "-c", before + CONNECTOR], env=environment, stderr=log)

    async def is_ready(self) -> None:
        await until(lambda: self.ready.exists() or self.process.poll() is not None, "the connector is ready")
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(120)


@contextlib.contextmanager
def connector_on(
    office: PostOffice, directory: Path, *, node: str | None = None, before: str = ""
) -> Iterator[Connector]:
    """A connector, killed at the end if it still lives; ``before`` is Python that its process runs first."""
    connector = Connector(office, directory, node=node or uuid.uuid4().hex, before=before)
    try:
        yield connector
    finally:
        if connector.process.poll() is None:
            connector.process.kill()
            connector.process.wait(10)


def arrived(mailbox: Mailbox) -> Counter[str]:
    return Counter(received.id for received in list(mailbox.received))


async def test_a_killed_worker_loses_nothing(office: PostOffice, receiver: Receiver, tmp_path: Path) -> None:
    name = uuid.uuid4().hex
    mailbox = receiver.mailbox(name)
    endpoint = await office.endpoint(receiver.url(name), max_in_flight=64)
    with connector_on(office, tmp_path / "first") as first:
        await first.is_ready()
        sent = {delivery.id for delivery in await office.deliver(endpoint, 500)}
        await until(lambda: len(mailbox.received) >= 50, "deliveries are under way")
        first.end(signal.SIGKILL)
    sent |= {delivery.id for delivery in await office.deliver(endpoint, 100)}
    with connector_on(office, tmp_path / "second") as second:
        await second.is_ready()
        await until(lambda: arrived(mailbox).keys() >= sent, "everything arrived")
        assert second.end(signal.SIGTERM) == 0
    assert arrived(mailbox).keys() == sent


async def test_a_stopped_worker_commits_what_it_sent(office: PostOffice, receiver: Receiver, tmp_path: Path) -> None:
    name = uuid.uuid4().hex
    mailbox = receiver.mailbox(name)
    endpoint = await office.endpoint(receiver.url(name))
    with connector_on(office, tmp_path / "first") as first:
        await first.is_ready()
        sent = {delivery.id for delivery in await office.deliver(endpoint, 300)}
        await until(lambda: len(mailbox.received) >= 30, "deliveries are under way")
        assert first.end(signal.SIGTERM) == 0
    with connector_on(office, tmp_path / "second") as second:
        await second.is_ready()
        await until(lambda: arrived(mailbox).keys() >= sent, "everything arrived")
    assert arrived(mailbox) == dict.fromkeys(sent, 1)


async def test_a_worker_that_joins_takes_over_without_repeats(
    office: PostOffice, receiver: Receiver, tmp_path: Path
) -> None:
    endpoints, mailboxes = [], []
    for _ in range(8):
        name = uuid.uuid4().hex
        mailboxes.append(receiver.mailbox(name))
        endpoints.append(await office.endpoint(receiver.url(name)))
    sent: set[str] = set()

    def everything() -> Counter[str]:
        return sum((arrived(mailbox) for mailbox in mailboxes), Counter())

    async def deliver_all() -> None:
        """So few that none queues: who gives a partition away leaves what queued, and what went on ahead of it."""
        for endpoint in endpoints:
            sent.update(delivery.id for delivery in await office.deliver(endpoint))
        await until(lambda: everything().keys() >= sent, "everything arrived")

    with connector_on(office, tmp_path / "first") as first, contextlib.ExitStack() as joining:
        await first.is_ready()
        await deliver_all()
        second = joining.enter_context(connector_on(office, tmp_path / "second"))
        while not second.ready.exists():
            await deliver_all()
        for _ in range(50):
            await deliver_all()
        assert second.end(signal.SIGTERM) == 0
        await deliver_all()
    assert everything() == dict.fromkeys(sent, 1)


async def test_contracts_that_a_killed_worker_had_not_finished_are_run_by_the_next(
    office: PostOffice, receiver: Receiver, tmp_path: Path
) -> None:
    contracts = Contracts(office, receiver)

    async def hang_at_first(_request: web.Request, number: int) -> web.Response:
        await asyncio.sleep(3_600 if number == 1 else 0)
        return web.Response()

    first, second = await contracts.add(), await contracts.add()
    second.answering = hang_at_first
    with connector_on(office, tmp_path / "first") as killed:
        await killed.is_ready()
        grouped = await contracts.deliver(1, 2)
        await until(lambda: bool(second.received), "the second group is under way")
        killed.end(signal.SIGKILL)
    with connector_on(office, tmp_path / "second") as other:
        await other.is_ready()
        expected = {each.id for each in grouped.deliveries()}
        await until(lambda: {each.delivery for each in contracts.attempts()} == expected, "all have come to an end")
        assert other.end(signal.SIGTERM) == 0
    assert {each.outcome for each in contracts.attempts()} == {Outcome.DELIVERED}
    assert len({request.id for request in first.received}) == 1
    assert len(second.received) == 2
