"""A CRMLS source account on a running gateway, what it posts, and how it is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import msgspec

from schemas.model import timestamps
from schemas.security.binding import Binding
from tests.support.credentials import crmls_token
from tests.support.running_gateway import TOKEN_SECRET

if TYPE_CHECKING:
    import httpx

    from tests.support.running_gateway import RunningGateway

EVENTS = "/api/app/events"


class Account(NamedTuple):
    gateway: RunningGateway
    workspace: str
    id: str
    key: str
    token: str

    def stored(self, message_type: str) -> int:
        return self.gateway.records(self.workspace, "crmls", message_type)

    def signing_key(self) -> bytes:
        """What signs the account's tokens: it follows from the account and its API key."""
        with self.gateway.client(params={"workspace": self.workspace}) as admin:
            client = admin.get(f"/headrace/v1/clients/{self.id}").raise_for_status().json()
            (key,) = admin.get(f"/headrace/v1/clients/{self.id}/keys").raise_for_status().json()["items"]
        times = [timestamps.parse(each["created_at"]) for each in (client, key)]
        binding = Binding(workspace=self.workspace, generation=times[0], key=key["id"], key_generation=times[1])
        return hmac.digest(TOKEN_SECRET.encode(), msgspec.json.encode(binding), hashlib.sha256)


def crmls_account(gateway: RunningGateway, workspace: str, *roles: str) -> Account:
    """A new account with a token; of role ``producer`` unless others are given."""
    client_id, key = gateway.create_client(workspace, *(roles or ("producer",)), realm="crmls")
    return Account(gateway, workspace, client_id, key, crmls_token(gateway, key))


def seed_body(**changes: Any) -> dict[str, Any]:
    """The printed request without its trailing comma; None leaves a member out."""
    body = {
        "eventName": "Offer1234",
        "eventTime": "2021-03-04T16:36:54.591Z",
        "messageType": "Offer",
        "message": {"ListingId": "#####", "OfferId": "#####", "OfferAmount": "#####"},
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


def part(token: str, index: int) -> dict[str, Any]:
    text = token.split(".")[index]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return decoded


def fresh(name: str) -> str:
    """A message type that nobody has used, so that its topic tells whether anything got through."""
    return f"{name}-{uuid4()}"


def refused(response: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The problem document of a refusal."""
    assert response.status_code in statuses, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == response.status_code
    assert {"type", "title", "status", "detail"} <= problem.keys()
    return problem
