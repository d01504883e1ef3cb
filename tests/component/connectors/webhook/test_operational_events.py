"""Operational events on real Kafka: each is published once, and none about what nobody asked for."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from schemas.model.operational_event import OperationalCode
from tests.component.connectors.post_office import until

if TYPE_CHECKING:
    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.receiver import Mailbox, Receiver

pytestmark = pytest.mark.usefixtures("connector")

RETRIES = (0.1,) * 9


@pytest.fixture
def mailboxes(receiver: Receiver) -> list[Mailbox]:
    return [receiver.mailbox(uuid.uuid4().hex) for _ in range(3)]


async def test_what_becomes_of_endpoints_and_deliveries_is_told_once(
    office: PostOffice, mailboxes: list[Mailbox]
) -> None:
    await office.have_operational_types()
    failing, flaky, busy = mailboxes
    failing.answers = [500]
    flaky.answers = [500] * 5 + [204]
    busy.answers = [429, 204]
    busy.headers = {"Retry-After": "3"}
    fails = await office.endpoint(failing.url, client="c1", disable_after=3.0, retry_schedule=RETRIES)
    recovers = await office.endpoint(flaky.url, retry_schedule=RETRIES)
    pauses = await office.endpoint(busy.url, retry_schedule=RETRIES)

    def about(code: OperationalCode) -> set[str]:
        return {event["ce_subject"].decode() for event in office.operational_events(code)}

    await office.deliver(fails, 6)
    await office.deliver(recovers, 5)
    await office.deliver(pauses)
    await until(lambda: fails.id in about(OperationalCode.DISABLED), "told of the disabled one")
    await until(lambda: recovers.id in about(OperationalCode.RECOVERED), "told of the recovered one")
    await until(lambda: fails.id in about(OperationalCode.EXHAUSTED), "told of the dead letter")
    assert about(OperationalCode.FAILING) == {fails.id, recovers.id}
    assert about(OperationalCode.DISABLED) == {fails.id}
    assert about(OperationalCode.PAUSED) == {pauses.id}
    letters = len(office.dead_letters(fails.id))
    await until(lambda: len(office.operational_events(OperationalCode.EXHAUSTED)) >= letters, "told of each")
    for code in OperationalCode:
        events = office.operational_events(code)
        assert len({event["ce_id"] for event in events}) == len(events), f"{code} is told of once"
    (disabled,) = office.operational_events(OperationalCode.DISABLED)
    assert disabled["ce_type"] == b"endpoint.disabled"
    assert disabled["ce_endpointowner"] == b"c1"
    assert disabled["ce_clientid"] == b"headrace:operations"
    assert b"attempts since" in disabled["value"]
