from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from backbone.kafka.admin import Admin
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics
from backbone.process.settings import BackboneSettings
from connectors.webhook import replays
from connectors.webhook import retry_scheduler as retries
from connectors.webhook.main import GROUP
from connectors.webhook.metrics import WebhookMetrics
from connectors.webhook.settings import WebhookSettings
from processes.settings import ConnectorSettings
from processes.webhook import serve_webhooks
from schemas.model import topics
from tests.component.connectors.post_office import SECRET_KEY, PostOffice, post_office_on
from tests.support.offsets import pass_over

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
async def office(kafka_bootstrap: str) -> AsyncIterator[PostOffice]:
    async with post_office_on(KafkaSettings(bootstrap_servers=kafka_bootstrap)) as opened:
        yield opened


@pytest.fixture(scope="module")
def connector(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorRegistry]:
    """A webhook connector that may reach 127.0.0.1 and nothing else that is not public; gives its metrics."""
    registry = CollectorRegistry()
    settings = ConnectorSettings(
        kafka=KafkaSettings(bootstrap_servers=kafka_bootstrap),
        backbone=BackboneSettings(data_dir=tmp_path_factory.mktemp("data"), secret_keys=(SECRET_KEY,)),
        webhook=WebhookSettings(allow=("127.0.0.1",)),
    )
    ready, ended = threading.Event(), threading.Event()
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()
    failures: list[BaseException] = []

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(ensure_internal_topics(Admin(settings.kafka)))
            pass_over(kafka_bootstrap, GROUP, topics.WEBHOOK_DELIVERIES)
            pass_over(kafka_bootstrap, replays.GROUP, topics.WEBHOOK_REPLAYS)
            pass_over(kafka_bootstrap, retries.GROUP, *topics.RETRY_TIERS.values())
            loop.run_until_complete(serve_webhooks(settings, stopping, ready.set, WebhookMetrics(registry)))
            loop.run_until_complete(loop.shutdown_default_executor())
        except BaseException as error:  # noqa: BLE001  # shown by the test that needs the connector
            failures.append(error)
        finally:
            loop.close()
            ended.set()
            ready.set()

    threading.Thread(target=run, daemon=True).start()
    assert ready.wait(120)
    assert failures == []
    yield registry
    loop.call_soon_threadsafe(stopping.set)
    assert ended.wait(120)
    assert failures == []
