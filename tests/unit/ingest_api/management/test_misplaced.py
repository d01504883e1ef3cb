"""Members of a body in the wrong place, or misspelt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from families.eventhos.http.actions import ActionInput
from families.exchange.http.endpoint_models import ExchangeEndpointInput
from families.exchange.http.notifications import NotificationInput
from ingest_api.management import misplaced
from schemas.model.errors import InvalidRequest

if TYPE_CHECKING:
    from pydantic import BaseModel


class Route:
    def __init__(self, model: type[BaseModel]) -> None:
        self.body_field = self.field_info = self
        self.annotation = model


class Posted:
    def __init__(self, model: type[BaseModel], body: bytes) -> None:
        self.scope = {"route": Route(model)}
        self._body = body

    async def body(self) -> bytes:
        return self._body

    async def json(self) -> Any:
        return json.loads(self._body)


async def check(model: type[BaseModel], content: Any) -> dict[str, str]:
    try:
        await misplaced.refuse_misplaced(Posted(model, json.dumps(content).encode()))  # type: ignore[arg-type]
    except InvalidRequest as error:
        return {each.path: each.message for each in error.problems}
    return {}


@pytest.mark.parametrize(
    ("model", "content", "told"),
    [
        (NotificationInput, {"authType": "APIKey"}, {"$.authType": "$.authentication.authType"}),
        (NotificationInput, {"apikey": "s"}, {"$.apikey": "$.authentication.APIKey"}),
        (NotificationInput, {"notificationUrl": "u"}, {"$.notificationUrl": "notificationURL"}),
        (NotificationInput, {"authentication": {"ApiKey": "s"}}, {"$.authentication.ApiKey": "APIKey"}),
        (
            NotificationInput,
            {"authentication": {"notificationKey": "k"}},
            {"$.authentication.notificationKey": "$.notificationKey"},
        ),
        (
            ExchangeEndpointInput,
            {"endpointTypes": {"destination": {"enabled": True}}},
            {"$.endpointTypes.destination": "$.endpointTypes.event.destination"},
        ),
        (ExchangeEndpointInput, {"EndpointTypes": {}}, {"$.EndpointTypes": "endpointTypes"}),
        (
            ExchangeEndpointInput,
            {"destinationType": "pull"},
            {"$.destinationType": "$.endpointTypes.event.destination.destinationType"},
        ),
        (
            ExchangeEndpointInput,
            {"marketingDatabasesDefinition": {"marketingDatabases": [{}, {"identifiers": [{"isrequired": True}]}]}},
            {"$.marketingDatabasesDefinition.marketingDatabases[1].identifiers[0].isrequired": "isRequired"},
        ),
        (ActionInput, {"clientsecret": "s"}, {"$.clientsecret": "clientSecret"}),
        (ActionInput, {"headers": [{"rawBody": 1}]}, {"$.headers[0].rawBody": "$.rawBody"}),
    ],
)
async def test_it_is_told_with_its_place(model: type[BaseModel], content: Any, told: dict[str, str]) -> None:
    found = await check(model, content)
    assert found.keys() == told.keys()
    assert all(found[path].endswith(f" {place}") for path, place in told.items()), found


@pytest.mark.parametrize(
    ("model", "content"),
    [
        (NotificationInput, {"notificationURL": "u", "authentication": {"authType": "APIKey", "APIKey": "s"}}),
        (NotificationInput, ["authType"]),
        (ExchangeEndpointInput, {"dataWindow": 1, "endpointTypes": {"segment": {"source": {"enabled": True}}}}),
        (ExchangeEndpointInput, {"endpointTypes": {"event": {"source": {"enabled": True, "sourceType": "x"}}}}),
        (ActionInput, {"client_secret": "s", "clientId": "c", "url": "u", "anything": {"rawBody": 1}}),
        (ActionInput, {"body": [{"key": "rawBody", "value": "clientSecret"}]}),
    ],
)
async def test_what_the_documents_have_besides_is_passed_over(model: type[BaseModel], content: Any) -> None:
    assert await check(model, content) == {}
