"""A delivery from publishing to the log: each attempt as it was sent, found by every id, and forgotten when asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.component.connectors.receiver import Mailbox
    from tests.support.running_gateway import RunningGateway

pytestmark = pytest.mark.usefixtures("processors", "webhooks", "files")

V1 = "/headrace/v1"
SECRET = "jane@example.com"


def until(look: Callable[[], Any], holds: Callable[[Any], object], seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while not holds(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def check_that_kafka_is_not_shown(staff: httpx.Client, hook: str, code: str) -> None:
    """Kafka still has an event that was redacted: what is read from there leaves it out."""

    def post(path: str, **body: Any) -> Any:
        return staff.post(f"{V1}/{path}", json=body).raise_for_status().json()

    assert post(f"endpoints/{hook}/projections/dry-run", code=code, expression="@")["events"] == []
    assert post("filters/dry-run", name="f", types=[{"code": code}])["events"] == []
    (letter,) = until(
        lambda: staff.get(f"{V1}/dead-letters", params={"endpoint": hook}).raise_for_status().json()["items"],
        lambda items: len(items) == 1,
    )
    content = staff.get(f"{V1}/dead-letters/{letter['id']}").raise_for_status().json()
    assert (content["value"], content["size"] > 0) == (None, True)
    assert all(name.startswith("hr_") for name, _ in content["headers"])


def test_a_failed_delivery_is_found_explained_and_redacted(gateway: RunningGateway, mailbox: Mailbox) -> None:
    workspace = gateway.create_workspace()
    _, key = gateway.create_client(workspace, "producer", "subscriber")
    _, operator = gateway.create_client(workspace, "operator")
    mailbox.answers, mailbox.headers = [503], {"X-Auth-Token": "t0ps3cret", "X-Trace": "7"}
    code, own_id = f"Code-{uuid4().hex}", f"order-{uuid4().hex}"
    with gateway.client(key) as http, gateway.client(operator) as staff:

        def make(path: str, **body: Any) -> str:
            return str(http.post(f"{V1}/{path}", json=body).raise_for_status().json().get("id"))

        def get(path: str, **params: Any) -> Any:
            answer = http.get(f"{V1}/{path}", params=params)
            return answer.json() if answer.is_success else None

        make("registrations", kind="PUBLISH", namespace="events", code=code, open=True)
        hook = make(
            "endpoints",
            name="hook",
            url=mailbox.url,
            retry_schedule=[],
            headers={"X-Api-Key": "s3cret-key", "X-Shop": "1"},
        )
        store = make("endpoints", name="files", type="FILE")
        chosen = make("filters", name="all", types=[{"namespace": "events", "code": code}])
        for endpoint in (hook, store):
            make("subscriptions", filter=chosen, endpoint=endpoint)
        event = {
            "specversion": "1.0",
            "type": code,
            "source": "/shop",
            "id": own_id,
            "tenant": "acme-7",
            "data": {"mail": SECRET},
        }
        sent = http.post(f"{V1}/events", json=event, headers={"Content-Type": "application/cloudevents+json"})
        event_id = sent.raise_for_status().json()["event_id"]
        (arrived,) = mailbox.wait(1)

        dead = until(
            lambda: get(f"endpoints/{hook}/deliveries", outcome="dead")["items"],
            # The attempt may be in the ledger before its event, which has the producer's id.
            lambda items: len(items) == 1 and items[0]["producer_id"] is not None,
        )[0]
        assert (dead["id"], dead["event"], dead["producer_id"]) == (arrived.id, event_id, own_id)
        assert (dead["status"], dead["reason"], dead["run"], dead["attempts"]) == (503, "server_error", "live", 1)
        for any_id in (arrived.id, event_id, own_id):
            assert [each["id"] for each in get("deliveries", id=any_id, endpoint=hook)["items"]] == [arrived.id]
            assert [each["event_id"] for each in get("events", id=any_id)["items"]] == [event_id]
        assert [each["id"] for each in get("deliveries", identifier="acme-", reason="server_error")["items"]] == [
            arrived.id
        ]
        counts = [each for each in get("delivery-counts")["items"] if each["endpoint"] == hook]
        assert [(each["code"], each["outcomes"]) for each in counts] == [(code, {"dead": 1})]

        (attempt,) = get(f"deliveries/{arrived.id}")["tries"]
        assert attempt["request"]["body"] == arrived.body.decode()
        assert (attempt["request"]["method"], attempt["request"]["url"]) == ("POST", mailbox.url)
        headers = {name.lower(): value for name, value in attempt["request"]["headers"].items()}
        assert headers["x-api-key"] == "***"
        assert {name: arrived.headers[name] for name in headers if name != "x-api-key"} | {
            "x-api-key": "***"
        } == headers
        assert (attempt["response"], attempt["response_head"]["X-Auth-Token"]) == ("answer 1", "***")
        assert (attempt["response_head"]["X-Trace"], attempt["next_at"]) == ("7", None)
        assert attempt["duration"] > 0

        name = until(lambda: get(f"endpoints/{store}/files")["items"], lambda items: items)[0]["name"]
        until(lambda: get("deliveries", id=event_id, outcome="delivered")["items"], lambda items: len(items) == 1)
        assert SECRET in http.get(f"{V1}/endpoints/{store}/files/{name}").text
        assert http.post(f"{V1}/events/{event_id}/redact").status_code == 403
        redacted = staff.post(f"{V1}/events/{own_id}/redact")
        assert (redacted.status_code, redacted.json()["files"]) == (202, 1)
        assert redacted.json()["stays_in"][0] == sent.json()["topic"]
        until(lambda: staff.get(f"{V1}/events/{event_id}").json(), lambda found: found["redacted_at"])
        shown = staff.get(f"{V1}/events/{event_id}").text + staff.get(f"{V1}/deliveries/{arrived.id}").text
        assert SECRET not in shown
        check_that_kafka_is_not_shown(staff, hook, code)
        assert SECRET not in http.get(f"{V1}/endpoints/{store}/files/{name}").text
        assert [each["outcome"] for each in get("deliveries", id=arrived.id)["items"]] == ["dead"]
