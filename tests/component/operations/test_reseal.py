"""``headrace reseal`` on a broker whose catalog is signed with its keys."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from backbone.catalog.accounts import Accounts
from backbone.catalog.reader import Catalog
from backbone.catalog.secrets import SecretBox
from backbone.catalog.subscriptions import Routes
from backbone.catalog.writer import CatalogWriter
from backbone.kafka.admin import Admin
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.topology import ensure_internal_topics
from schemas.model.endpoint import Endpoint, EndpointType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    Node = tuple[Catalog, CatalogWriter]

OLD, NEW, UNKNOWN = (f"{name}-{uuid.uuid4()}" for name in ("old", "new", "unknown"))


@pytest.fixture
async def node(own_broker: str) -> AsyncIterator[Node]:
    kafka = KafkaSettings(bootstrap_servers=own_broker)
    await ensure_internal_topics(Admin(kafka))
    catalog = Catalog(kafka, [OLD, NEW])
    catalog.start()
    await catalog.caught_up()
    writer = CatalogWriter(catalog, kafka, timeout=20)
    writer.start()
    yield catalog, writer
    writer.stop()
    catalog.stop()


def reseal(bootstrap: str, directory: Path, *keys: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "HEADRACE_DATA_DIR": str(directory),
        "HEADRACE_SECRET_KEYS": ",".join(keys),
    }
    command = [sys.executable, "-m", "operations", "reseal"]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=240, check=False)


async def test_the_catalog_moves_to_the_first_key_and_what_is_lost_is_listed(
    own_broker: str, node: Node, tmp_path: Path
) -> None:
    catalog, writer = node
    workspace = f"ws-{uuid.uuid4()}"
    await Accounts(catalog, writer, SecretBox([OLD])).create_workspace(workspace)
    endpoint = Endpoint(
        id="",
        workspace=workspace,
        name="hook",
        type=EndpointType.WEB_HOOK,
        url="https://example.org/",
        created_at=0,
        updated_at=0,
    )
    ours, plaintext = await Routes(catalog, writer, SecretBox([OLD])).create_endpoint(endpoint)
    theirs, _ = await Routes(catalog, writer, SecretBox([UNKNOWN])).create_endpoint(endpoint)

    done = reseal(own_broker, tmp_path, NEW, OLD)

    assert done.returncode == 1
    assert done.stdout.startswith("1 endpoints and API keys were sealed")
    assert f"endpoint/{theirs.id}" in done.stdout
    assert ours.id not in done.stdout
    await catalog.caught_up()
    moved = catalog.view.endpoint(ours.id)
    assert moved is not None
    assert SecretBox([NEW]).open(moved.signing_secrets[0]) == plaintext
    assert catalog.view.endpoint(theirs.id) == theirs
