"""Three brokers for the tests of this directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backbone.kafka.settings import KafkaSettings
from tests.kafka_cluster import KafkaCluster, kafka_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def whole_cluster(jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    with kafka_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def cluster(whole_cluster: KafkaCluster) -> KafkaCluster:
    """The cluster, whole again after what the test before did to it."""
    whole_cluster.start()
    return whole_cluster


@pytest.fixture
def kafka(cluster: KafkaCluster) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=cluster.bootstrap_servers)
