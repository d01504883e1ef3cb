"""A rate limit, counted at the receiver: through retries, waits on the tiers, and the replacement of the worker."""

from __future__ import annotations

import signal
import uuid
from typing import TYPE_CHECKING

from aiohttp import web

from schemas.model.endpoint import RateLimit
from tests.component.connectors.post_office import until
from tests.component.connectors.webhook.test_failover import connector_on
from tests.component.connectors.webhook.test_first_in_first_out import SHORT_WAITS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.receiver import Mailbox, Receiver

_LIMIT = RateLimit(per_second=40, burst=10)

_LATE = 0.5
"""Seconds by which a request may arrive later than another one, on a busy machine."""


def check_windows(mailbox: Mailbox, *seconds: float) -> None:
    times = [received.at for received in mailbox.received]
    for window in seconds:
        most = max(sum(begin <= time < begin + window for time in times) for begin in times)
        assert most <= _LIMIT.per_second * (window + _LATE) + _LIMIT.burst


async def test_no_window_has_more_requests_than_the_limit(
    office: PostOffice, receiver: Receiver, tmp_path: Path
) -> None:
    took: set[str] = set()

    async def fail_now_and_then(request: web.Request, number: int) -> web.Response:
        if number % 4 == 0:
            return web.Response(status=500)
        took.add(request.headers["webhook-id"])
        return web.Response()

    name = uuid.uuid4().hex
    mailbox = receiver.mailbox(name)
    mailbox.answering = fail_now_and_then
    limited = await office.endpoint(receiver.url(name), rate_limit=_LIMIT, retry_schedule=(1.0,) * 9)
    neighbour = receiver.mailbox(f"{name}-neighbour")
    beside = await office.endpoint(neighbour.url)
    with connector_on(office, tmp_path / "first", before=SHORT_WAITS) as first:
        await first.is_ready()
        sent = {delivery.id for delivery in await office.deliver(limited, 120)}
        await office.deliver(beside, 40)
        await until(lambda: len(neighbour.received) == 40, "the neighbour got everything")
        assert len(took) < len(sent)
        await until(lambda: len(mailbox.received) >= 60, "the first worker is at it")
        assert first.end(signal.SIGTERM) == 0
    sent |= {delivery.id for delivery in await office.deliver(limited, 40)}
    with connector_on(office, tmp_path / "second", before=SHORT_WAITS) as second:
        await second.is_ready()
        await until(lambda: took >= sent, "everything arrived")
        assert second.end(signal.SIGTERM) == 0
    assert any(delivery.attempts for _, delivery in office.waiting(limited)), "some failed"
    assert any(not delivery.attempts for _, delivery in office.waiting(limited)), "some waited for the limit"
    check_windows(mailbox, 1.0, 3.0)
