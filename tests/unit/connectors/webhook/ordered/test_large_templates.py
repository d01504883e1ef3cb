"""Large events are filled into templates beside the deliveries of others, not before them."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from connectors.webhook import rendering
from connectors.webhook.rendering import Renderer
from families.delivery import BODIES
from schemas.model.delivery import Delivery, SourceOffset
from schemas.model.endpoint import BodyFormat, Endpoint, EndpointType, RequestTemplate

if TYPE_CHECKING:
    from backbone.catalog.reader import Catalog
    from backbone.catalog.secrets import SecretBox

ENDPOINT = Endpoint(
    id="e",
    workspace="w",
    name="e",
    type=EndpointType.WEB_HOOK,
    url="http://there/",
    body=BodyFormat("eventhos"),
    request=RequestTemplate(raw_body="${.body.b}"),
    created_at=0,
    updated_at=0,
)
DELIVERY = Delivery(
    id="d", event="v", endpoint="e", workspace="w", source=SourceOffset("t", 0, 0), subscriptions=("s",), routed_at=0
)


@pytest.mark.parametrize(("size", "at_once"), [(10, True), (100_000, False)])
async def test_a_large_event_is_filled_in_on_a_thread(
    size: int, *, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    fill = rendering.templates.fill

    def noted(*given: Any) -> Any:
        threads.append(threading.current_thread())
        return fill(*given)

    async def decoded(_: bytes | None) -> Any:
        body = b'{"b":"' + b"x" * size + b'"}'
        return SimpleNamespace(data_json=lambda: body)

    renderer = Renderer(cast("Catalog", None), cast("SecretBox", None), BODIES)
    monkeypatch.setattr(renderer._events, "decode", decoded)
    monkeypatch.setattr(rendering.templates, "fill", noted)
    request = await renderer.request(b"", [], DELIVERY, ENDPOINT, 0)
    assert request.body == b"x" * size
    assert [thread is threading.main_thread() for thread in threads] == [at_once]
