"""What the cases of a document share; the running planes are those of the whole session."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.support.eventhos_calls import Eventhos, eventhos_on
from tests.support.eventhos_log import EventLog
from tests.support.exchange_account import ExchangeAccount, ExchangeEndpoint, exchange_account
from tests.support.exchange_publishing import Publishing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.running_gateway import RunningGateway


@pytest.fixture(scope="session")
def exchange(gateway: RunningGateway) -> ExchangeAccount:
    """An Exchange account for all tests of its document."""
    return exchange_account(gateway)


@pytest.fixture(scope="session")
def publisher(exchange: ExchangeAccount) -> ExchangeEndpoint:
    """A source of events."""
    return exchange.endpoint(source=True, identifiers=("email", "cookieId"))


@pytest.fixture(scope="session")
def unused_codes() -> list[str]:
    """Codes whose topics are still empty: a refusal leaves nothing, so that the next test can take its code."""
    return []


@pytest.fixture
def publishing(publisher: ExchangeEndpoint, unused_codes: list[str]) -> Iterator[Publishing]:
    """The publisher with an event type of the test's own."""
    code = unused_codes.pop() if unused_codes else f"ibmproductView-{uuid4()}"
    assert publisher.register(code).status_code == 200
    with publisher.client() as http:
        yield Publishing(publisher, http, code)
    if publisher.account.stored(code) == 0:
        unused_codes.append(code)


@pytest.fixture(scope="module")
def eventhos(gateway: RunningGateway) -> Eventhos:
    """eventhos with a manager of the module's own."""
    return eventhos_on(gateway)


@pytest.fixture
def log(eventhos: Eventhos) -> EventLog:
    """eventhos' log of an event of the test's own."""
    return EventLog(eventhos=eventhos, event=eventhos.event())
