"""Endpoints that get nothing, and endpoints that fail, by what the connectors wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from backbone.endpoint_states import PAUSE, EndpointStateView
from backbone.kafka.settings import KafkaSettings
from operations.doctor.endpoints import of_endpoint
from schemas.model import timestamps, topics
from schemas.model.delivery import EndpointState
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.endpoint_health import HEALTH, EndpointHealth
from tests.support.consumed_messages import ConsumedMessage

if TYPE_CHECKING:
    from backbone.kafka.records import Message
    from operations.doctor.findings import Finding

ENDPOINT = Endpoint(
    id="e1",
    workspace="acme",
    name="billing",
    type=EndpointType.WEB_HOOK,
    url="https://example.com/hook",
    created_at=1,
    updated_at=1,
)


def found(endpoint: Endpoint = ENDPOINT, key: str = "", state: EndpointState | None = None) -> list[Finding]:
    states = EndpointStateView(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    if state is not None:
        value = msgspec.json.encode(state)
        states.apply(cast("Message", ConsumedMessage(topics.ENDPOINT_STATE, value, key=f"e1{key}".encode())))
    return list(of_endpoint(endpoint, states))


def test_one_that_works() -> None:
    assert found() == []


def test_one_that_a_connector_disabled() -> None:
    (disabled,) = found(
        state=EndpointState(endpoint="e1", disabled_reason="it answered 410 Gone", changed_at=2_000_000)
    )
    assert (disabled.cause, disabled.severity) == ("disabled-endpoint", "fault")
    assert "'billing' (e1, workspace acme)" in disabled.what
    assert "it answered 410 Gone" in disabled.what
    assert "headrace endpoints enable e1 --workspace acme" in disabled.cure
    assert "headrace replay e1" in disabled.cure


def test_one_that_its_owner_disabled_or_paused() -> None:
    (disabled,) = found(msgspec.structs.replace(ENDPOINT, enabled=False))
    assert (disabled.cause, disabled.severity) == ("disabled-endpoint", "warning")
    assert "its owner disabled it" in disabled.what
    (paused,) = found(msgspec.structs.replace(ENDPOINT, held_since=5))
    assert (paused.cause, paused.severity) == ("paused-endpoint", "warning")
    assert "headrace endpoints resume e1 --workspace acme" in paused.cure


def test_one_that_asked_for_a_pause() -> None:
    until = timestamps.now() // 1_000 + 60_000
    (paused,) = found(key=PAUSE, state=EndpointState(endpoint="e1", paused_until=until, edited_at=1, changed_at=2))
    assert (paused.cause, paused.severity) == ("paused-endpoint", "warning")
    assert "429 or 503" in paused.what
    assert "headrace endpoints enable e1 --workspace acme" in paused.cure


def test_one_that_fails() -> None:
    health = EndpointHealth(failures=7, failing_since=1_000_000, warnings=1, failed_at=2, error="connect: refused")
    (failing,) = found(key=HEALTH, state=EndpointState(endpoint="e1", health=health, edited_at=1, changed_at=2))
    assert (failing.cause, failing.severity) == ("failing-endpoint", "fault")
    assert "7 attempts in a row, the last with 'connect: refused'" in failing.what
    assert "https://example.com/hook" in failing.cure
    assert "headrace redrive --endpoint e1 --workspace acme" in failing.cure


def test_one_whose_receiver_refuses_the_signature() -> None:
    health = EndpointHealth(failures=7, failing_since=1_000_000, warnings=1, failed_at=2, error="401", status=401)
    (refused,) = found(key=HEALTH, state=EndpointState(endpoint="e1", health=health, edited_at=1, changed_at=2))
    assert (refused.cause, refused.severity) == ("refused-secret", "fault")
    assert "headrace endpoints rotate-secret e1 --workspace acme" in refused.cure
    assert "headrace endpoints edit e1 --set authorization=JSON --workspace acme" in refused.cure


def test_credentials_in_a_url_are_not_told() -> None:
    endpoint = msgspec.structs.replace(ENDPOINT, url="https://user:s3cret@example.com/hook")
    health = EndpointHealth(failures=7, failing_since=1_000_000, warnings=1, failed_at=2, error="connect: refused")
    (failing,) = found(endpoint, HEALTH, EndpointState(endpoint="e1", health=health, edited_at=1, changed_at=2))
    assert "s3cret" not in failing.cure
    assert "https://hidden@example.com/hook" in failing.cure
