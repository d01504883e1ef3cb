"""A call that our own code cannot make: an answer, which says nothing of what the request held."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from backbone.catalog.secrets import SecretBox
from connectors.webhook.metrics import WebhookMetrics
from connectors.webhook.ordered.calls import Calls
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.endpoint import Endpoint, EndpointType, NameValue, RequestTemplate


class _Broken:
    """Fails as text does that cannot be encoded: its error holds the whole text."""

    async def request(self, *_: Any, **__: Any) -> Any:
        "Bearer a-secret-\ud800".encode()


async def test_what_keeps_a_call_from_being_made_is_named_without_its_secrets() -> None:
    nothing: Any = None
    broken: Any = _Broken()
    calls = Calls(
        renderer=broken,
        authorizer=nothing,
        transport=nothing,
        secrets=SecretBox(["a key for these tests"]),
        replies=nothing,
        metrics=WebhookMetrics(CollectorRegistry()),
    )
    endpoint = Endpoint(
        id="e",
        workspace="w",
        name="n",
        type=EndpointType.WEB_HOOK,
        url="https://receiver.example",
        created_at=0,
        updated_at=0,
    )
    source = SourceOffset(topic="t", partition=0, offset=0)
    delivery = Delivery(id="d", event="v", workspace="w", endpoint="e", source=source, subscriptions=(), routed_at=0)
    answer = await calls.make(b"", [], delivery, endpoint, 0)
    assert answer.error == "the call cannot be made: UnicodeEncodeError"


async def test_an_action_of_before_does_not_send_credentials_where_a_sender_says() -> None:
    nothing: Any = None
    box = SecretBox(["a key for these tests"])
    calls = Calls(
        renderer=nothing,
        authorizer=nothing,
        transport=nothing,
        secrets=box,
        replies=nothing,
        metrics=WebhookMetrics(CollectorRegistry()),
    )
    secret = NameValue(name="Authorization", value=box.seal("Bearer secret"), sealed=True)
    endpoint = Endpoint(
        id="e",
        workspace="w",
        name="n",
        type=EndpointType.WEB_HOOK,
        url="http://${.body.host}/",
        request=RequestTemplate(headers=(secret,)),
        created_at=0,
        updated_at=0,
    )
    source = SourceOffset(topic="t", partition=0, offset=0)
    delivery = Delivery(id="d", event="v", workspace="w", endpoint="e", source=source, subscriptions=(), routed_at=0)
    answer = await calls.make(b"", [], delivery, endpoint, 0)
    assert "whoever sends an event" in (answer.error or "")
    assert answer.status is None
