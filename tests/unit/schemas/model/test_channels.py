from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from schemas.model.channels import ChannelTemplate, channel_key, delivery_channel, endpoint_of, own_channel
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import InvalidRequest


@dataclass
class Event:
    namespace: str | None = "shop"
    code: str = "Order"
    clientid: str = "client-1"
    subject: str | None = "A-1"
    data: Any = field(default_factory=lambda: {"customer": {"id": 7}, "paid": True, "tags": ["x"], "note": None})

    def identifier_values(self) -> dict[str, list[str]]:
        return {"email": ["a@b.example"]}

    def data_value(self) -> Any:
        return self.data


def endpoint(template: str | None = None) -> Endpoint:
    options = {} if template is None else {"channel": template}
    return Endpoint(
        id="e1",
        workspace="shop/eu",
        name="e",
        type=EndpointType.WEB_SOCKET,
        options=options,
        created_at=0,
        updated_at=0,
    )


@pytest.mark.parametrize(
    ("template", "channel"),
    [
        ("orders", "orders"),
        ("{type}", "Order"),
        ("{namespace}:org_1", "shop:org_1"),
        ("{type}:{source}#{subject}", "Order:client-1#A-1"),
        ("customer:{data.customer.id}", "customer:7"),
        ("{clientid}", "client-1"),
        ("{data.paid}", "true"),
        ("by:{identifiers.email}", "by:a@b.example"),
    ],
)
def test_a_template_names_a_channel(template: str, channel: str) -> None:
    assert ChannelTemplate(template).render(Event()) == channel


@pytest.mark.parametrize(
    "template",
    ["{data.missing}", "{data.note}", "{data.tags}", "{data.customer}", "{data.paid.x}", "{identifiers.cookieId}"],
)
def test_an_event_that_names_no_channel_goes_to_the_endpoints_own(template: str) -> None:
    assert ChannelTemplate(template).render(Event()) is None
    assert delivery_channel(endpoint(template), Event()) == b"endpoint:e1"


def test_data_that_is_no_object_names_no_channel() -> None:
    assert ChannelTemplate("{data.x}").render(Event(data=[1])) is None


def test_a_name_that_is_too_long_or_reserved_is_not_used() -> None:
    assert ChannelTemplate("{subject}").render(Event(subject="x" * 256)) is None
    assert ChannelTemplate("{subject}").render(Event(subject="endpoint:e2")) is None


@pytest.mark.parametrize(
    "template", ["", "{", "a}", "{type", "{{type}}", "{}", "{nope}", "{data}", "{data.}", "endpoint:e2", "x" * 256]
)
def test_a_template_that_cannot_be_used_is_refused(template: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ChannelTemplate(template)

    assert [problem.path for problem in caught.value.problems] == ["$.options.channel"]


def test_a_stored_template_that_cannot_be_used_stops_nothing() -> None:
    assert delivery_channel(endpoint("{nope}"), Event()) == b"endpoint:e1"


def test_workspaces_share_no_channel() -> None:
    assert delivery_channel(endpoint("orders"), Event()) == b"shop_2feu/orders"
    assert channel_key("shop/eu", "orders") == b"shop_2feu/orders"
    assert channel_key("shop", "eu/orders") == b"shop/eu/orders"


def test_an_endpoints_own_channel_is_its_key() -> None:
    assert delivery_channel(endpoint(), Event()) == own_channel("e1").encode() == channel_key("any", "endpoint:e1")
    assert endpoint_of(own_channel("e1")) == "e1"
    assert endpoint_of("orders") is None
