"""Three brokers for the tests of this directory.

They take half of a small machine, so they live no longer than a file of tests, and there is one file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backbone.kafka.settings import KafkaSettings
from tests.support.kafka_cluster import KafkaCluster, kafka_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOONER = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}
"""A killed broker is given up after 3 s instead of 9. The groups' session stays Kafka's own, 45 s."""


@pytest.fixture(scope="module")
def whole_cluster(jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    with kafka_cluster(tmp_path_factory.mktemp("cluster"), _SOONER) as running:
        yield running


@pytest.fixture
def cluster(whole_cluster: KafkaCluster) -> KafkaCluster:
    """The cluster, whole again after what the test before did to it."""
    whole_cluster.start()
    return whole_cluster


@pytest.fixture(scope="module")
def kafka(whole_cluster: KafkaCluster) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=whole_cluster.bootstrap_servers)
