"""Realms and body formats in requests and answers of our own API."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from families.headrace.http.accounts import ClientInput, ClientOutput
from families.headrace.http.endpoints import EndpointInput
from schemas.model.access import Client, Realm

REALMS = "'headrace', 'crmls', 'eventhos', 'envoy', 'exchange' or 'graphql'"
FORMATS = "'cloudevents', 'exchange', 'exchange_notification', 'eventhos' or 'event_service'"


@pytest.mark.parametrize("wrong", ["doorbell", "", "CRMLS", 7, None, ["crmls"]])
@pytest.mark.parametrize(
    ("kind", "member", "names"), [(ClientInput, "realm", REALMS), (EndpointInput, "body", FORMATS)]
)
def test_a_request_with_another_name_is_told_those_that_there_are(
    kind: type[ClientInput | EndpointInput], member: str, names: str, wrong: object
) -> None:
    with pytest.raises(ValidationError) as refused:
        kind.model_validate({"name": "n", member: wrong})
    (error,) = refused.value.errors()
    assert (error["loc"], error["type"], error["msg"]) == ((member,), "enum", f"Input should be {names}")


def test_a_name_is_a_text() -> None:
    made = ClientInput.model_validate({"name": "n", "realm": "envoy"})
    assert made.model_dump(mode="json")["realm"] == "envoy"
    assert str(made.realm) == "envoy"
    assert type(str(made.realm)) is str
    assert ClientInput(name="n").realm == "headrace"


def test_a_client_of_a_family_that_is_gone_is_shown() -> None:
    client = Client(id="c", workspace="w", name="n", realm=Realm("doorbell"), created_at=1, updated_at=1)
    shown: dict[str, Any] = ClientOutput.model_validate(client).model_dump(mode="json")
    assert shown["realm"] == "doorbell"
