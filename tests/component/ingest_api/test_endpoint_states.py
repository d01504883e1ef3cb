"""What connectors found of endpoints, on the real topic, is shown by the API that did not write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbone.kafka.producer import Producer
from backbone.kafka.settings import KafkaSettings
from connectors.webhook.endpoint_states import EndpointStates
from schemas.model import timestamps
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.endpoint_health import EndpointHealth

if TYPE_CHECKING:
    import httpx

    from tests.support.running_gateway import RunningGateway

ENDPOINTS = "/headrace/v1/endpoints"
ENABLED = {"status": "enabled", "reason": None, "since": None, "until": None}


def made(http: httpx.Client, name: str) -> Endpoint:
    """A new endpoint, as far as a connector looks at it to pause it."""
    body = {"name": name, "url": "https://example.com/hook"}
    answer: dict[str, Any] = http.post(ENDPOINTS, json=body).raise_for_status().json()
    times = {name: timestamps.parse(answer[name]) for name in ("created_at", "updated_at")}
    return Endpoint(id=answer["id"], workspace="w", name=name, type=EndpointType.WEB_HOOK, **times)


def listed(http: httpx.Client, **query: str) -> dict[str, Any]:
    """How those that are listed stand, by name."""
    found = http.get(ENDPOINTS, params=query).raise_for_status().json()["items"]
    return {one["name"]: one["state"] for one in found}


async def test_what_a_connector_wrote_is_shown_until_the_endpoint_is_changed(gateway: RunningGateway) -> None:
    _, key = gateway.create_client(gateway.create_workspace(), "subscriber")
    kafka = KafkaSettings(bootstrap_servers=gateway.bootstrap)
    found, producer = EndpointStates(kafka), Producer(kafka)
    await producer.start()
    try:
        with gateway.client(key) as http:
            gone, slow, _ = (made(http, name) for name in ("gone", "slow", "sound"))
            assert listed(http) == dict.fromkeys(("gone", "slow", "sound"), ENABLED)
            now = timestamps.now()
            until = now // 1_000 + 600_000
            pausing = found.pause(slow, until, now)
            assert pausing is not None

            await producer.send([found.disable(gone.id, "the endpoint answered 410 Gone", now), pausing])

            since = timestamps.to_text(now)
            disabled = {
                "status": "disabled",
                "reason": "the endpoint answered 410 Gone",
                "since": since,
                "until": None,
            }
            paused = {
                "status": "paused",
                "reason": "the endpoint answered 429 or 503 with Retry-After",
                "since": since,
                "until": timestamps.to_text(until * 1_000),
            }
            assert listed(http) == {"gone": disabled, "slow": paused, "sound": ENABLED}
            assert listed(http, status="disabled") == {"gone": disabled}
            assert http.get(f"{ENDPOINTS}/{slow.id}").json()["state"] == paused

            http.patch(f"{ENDPOINTS}/{gone.id}", json={"enabled": True}).raise_for_status()
            http.patch(f"{ENDPOINTS}/{slow.id}", json={"description": "quicker"}).raise_for_status()

            assert http.get(f"{ENDPOINTS}/{gone.id}").json()["state"] == ENABLED
            assert listed(http) == dict.fromkeys(("gone", "slow", "sound"), ENABLED)
    finally:
        await producer.stop()


async def test_the_health_of_an_endpoint_is_shown(gateway: RunningGateway) -> None:
    _, key = gateway.create_client(gateway.create_workspace(), "subscriber")
    kafka = KafkaSettings(bootstrap_servers=gateway.bootstrap)
    found, producer = EndpointStates(kafka), Producer(kafka)
    await producer.start()
    try:
        with gateway.client(key) as http:
            endpoint = made(http, "flaky")
            address = f"{ENDPOINTS}/{endpoint.id}"
            sound = {
                "status": "healthy",
                "reason": None,
                "paused_until": None,
                "disabled_since": None,
                "consecutive_failures": 0,
                "failing_since": None,
                "disables_at": None,
                "breaker": {"open": False, "until": None},
                "last_success_at": None,
                "last_error": None,
            }
            assert http.get(f"{address}/health").json() == sound
            now = timestamps.now()
            health = EndpointHealth(
                failures=7,
                failing_since=now - 5,
                warnings=1,
                succeeded_at=now - 9,
                failed_at=now,
                error="answered 500",
                status=500,
                disables_at=now + 9,
                closed_until=now // 1_000 + 600_000,
            )
            text = timestamps.to_text
            error = {"at": text(now), "message": "answered 500", "status": 500}
            failing = {
                "status": "failing",
                "reason": "answered 500",
                "paused_until": None,
                "disabled_since": None,
                "consecutive_failures": 7,
                "failing_since": text(now - 5),
                "disables_at": text(now + 9),
                "breaker": {"open": True, "until": text((now // 1_000 + 600_000) * 1_000)},
                "last_success_at": text(now - 9),
                "last_error": error,
            }
            await producer.send([found.keep_health(endpoint.id, health, edited_at=endpoint.updated_at, now=now)])
            assert http.get(f"{address}/health").json() == failing

            await producer.send([found.disable(endpoint.id, "all 7 attempts failed", now)])
            disabled = http.get(f"{address}/health").json()
            assert (disabled["status"], disabled["reason"]) == ("disabled", "all 7 attempts failed")
            assert (disabled["disabled_since"], disabled["disables_at"]) == (text(now), None)

            http.patch(address, json={"enabled": True, "disable_after": 60}).raise_for_status()
            assert http.get(address).json()["disable_after"] == 60
            assert http.get(f"{address}/health").json() == sound | {
                "last_success_at": text(now - 9),
                "last_error": error,
            }
            assert http.get(f"{ENDPOINTS}/none/health").status_code == 404
            assert http.get(f"{address}/health", params={"since": "now"}).status_code == 400
    finally:
        await producer.stop()
