"""One running gateway for all documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.exchange_account import ExchangeAccount, exchange_account
from tests.running_gateway import RunningGateway, running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def gateway(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """The ingest plane, on real Kafka, for the whole session."""
    with running_gateway(kafka_bootstrap, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="session")
def exchange(gateway: RunningGateway) -> ExchangeAccount:
    """An Exchange account for all tests of its document."""
    return exchange_account(gateway)
