"""A credential of each API family, by the security scheme of the OpenAPI document that takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from tests.support.eventhos_calls import eventhos_on
from tests.support.exchange_account import exchange_account

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

OWN = "apiKey"
CRMLS = "crmlsToken"
EVENTHOS, EVENTHOS_SENDER = "eventhosToken", "eventhosAccessKey"
ENVOY = "envoyToken"
EXCHANGE = "exchangeKey"
EVENT_SERVICE = "eventServiceKey"
REGISTRY = "schemaRegistryKey"
SCHEMES = (OWN, CRMLS, EVENTHOS, EVENTHOS_SENDER, ENVOY, EXCHANGE, EVENT_SERVICE)

OWN_ROLES = ("producer", "subscriber", "operator")


def credentials_on(gateway: RunningGateway) -> dict[str, str]:
    """New clients with all that their families can allow, except that of our own API is no administrator."""
    workspace = gateway.create_workspace()
    _, own = gateway.create_client(workspace, *OWN_ROLES)
    eventhos = eventhos_on(gateway)
    return {
        OWN: own,
        REGISTRY: own,
        CRMLS: crmls_token(gateway, gateway.create_client(workspace, "producer", realm="crmls")[1]),
        EVENTHOS: eventhos.token,
        EVENTHOS_SENDER: eventhos.event().token,
        ENVOY: envoy_token(gateway, workspace),
        EXCHANGE: exchange_account(gateway).endpoint(source=True, identifiers=("email",)).key,
        EVENT_SERVICE: gateway.create_client(workspace, "producer", "subscriber", realm="graphql")[1],
    }


def crmls_token(gateway: RunningGateway, key: str) -> str:
    """A token for an API key of the CRMLS family."""
    with gateway.client(None) as http:
        answer = http.post("/api/token", params={"apiKey": key})
    token: str = answer.raise_for_status().json()["token"]
    return token


def envoy_token(gateway: RunningGateway, organisation: str, *scopes: str) -> str:
    """An access token of a user of an organisation that has been provisioned; the scopes are further ones."""
    with gateway.client(params={"workspace": organisation}) as admin:
        body = {"id": f"usr_{uuid4().hex}", "name": "user", "realm": "envoy", "scopes": ["shipments:read", *scopes]}
        made = admin.post("/headrace/v1/clients", json=body).raise_for_status().json()
        token: str = admin.post(f"/headrace/v1/clients/{made['id']}/keys").raise_for_status().json()["key"]
    with gateway.client(token) as user:
        user.get("/events/provision").raise_for_status()
    return token
