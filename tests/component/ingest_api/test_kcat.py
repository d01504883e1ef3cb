"""What we send, read by kcat: a consumer that shares no code with ours."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import fastavro
import pytest

from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

KCAT = shutil.which("kcat") or shutil.which("kafkacat")


@pytest.mark.skipif(KCAT is None, reason="kcat is not installed")
def test_kcat_reads_an_event_and_its_headers(gateway: RunningGateway) -> None:
    workspace = gateway.create_workspace()
    client_id, key = gateway.create_client(workspace, "producer")
    attributes = [{"name": "amount", "type": "Number"}, {"name": "note", "type": "String"}]
    event = {"specversion": "1.0", "type": "Offer", "subject": "s-1", "data": {"amount": 125.5, "note": "schön"}}
    with gateway.client(key) as http:
        http.post("/headrace/v1/registrations", json={"code": "Offer", "attributes": attributes}).raise_for_status()
        headers = {"content-type": "application/cloudevents+json"}
        answer = http.post("/headrace/v1/events", content=json.dumps(event), headers=headers)
        receipt = answer.raise_for_status().json()

        topic = event_topic(workspace, "events", "Offer")
        value = _kcat(gateway, "-t", topic, "-f", "%s")
        schema_id = int.from_bytes(value[1:5], "big")
        schema = http.get(f"/schema-registry/schemas/ids/{schema_id}").raise_for_status().json()["schema"]
    place, _, pairs = _kcat(gateway, "-t", topic, "-f", "%p/%o %h").decode().partition(" ")

    assert place == f"{receipt['partition']}/{receipt['offset']}"
    read = fastavro.schemaless_reader(io.BytesIO(value[5:]), json.loads(schema), None)
    assert read["data"] == {"amount": 125.5, "note": "schön"}
    assert (
        dict(pair.split("=", 1) for pair in pairs.split(",")).items()
        >= {
            "ce_specversion": "1.0",
            "ce_id": receipt["id"],
            "ce_source": client_id,
            "ce_type": "Offer",
            "ce_subject": "s-1",
            "content-type": "application/avro",
        }.items()
    )


def _kcat(gateway: RunningGateway, *arguments: str) -> bytes:
    """Everything that is in a topic now."""
    command = [str(KCAT), "-b", gateway.bootstrap, "-C", "-o", "beginning", "-e", "-q", *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=240).stdout
