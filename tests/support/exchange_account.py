"""An Exchange account of a test's own on a running gateway, and its endpoints."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from confluent_kafka import Consumer, TopicPartition

from schemas.avro.codec import DecodedEvent, EventDecoder
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    import httpx

    from tests.support.running_gateway import RunningGateway

ATTRIBUTES = ({"name": "productID", "type": "String"}, {"name": "orderTotal", "type": "Number"})


@dataclass(frozen=True, kw_only=True)
class ExchangeEndpoint:
    """One endpoint and its key."""

    account: ExchangeAccount
    id: str
    key: str
    name: str

    def client(self) -> httpx.Client:
        """Calls with the endpoint's key."""
        return self.account.gateway.client(self.key)

    def register(self, code: str, **members: Any) -> httpx.Response:
        """``POST /v1/eventtype``, with attributes ``productID`` and ``orderTotal`` unless told otherwise."""
        body = {"code": code, "name": f"Name of {code}", "attributes": ATTRIBUTES} | members
        with self.client() as http:
            return http.post("/v1/eventtype", json=body)


@dataclass(frozen=True, kw_only=True)
class ExchangeAccount:
    """A workspace as an Exchange account, with a key of each level beside those of the endpoints."""

    gateway: RunningGateway
    workspace: str
    account_key: str
    application_key: str

    def endpoint(
        self,
        *,
        source: bool = False,
        identifiers: tuple[str, ...] = (),
        destination: dict[str, Any] | None = None,
        provider: str | None = None,
    ) -> ExchangeEndpoint:
        """Register an endpoint with the account-level key."""
        name = f"endpoint-{uuid4()}"
        names = [{"name": each, "type": "x"} for each in identifiers]
        body = {
            "name": name,
            "providerName": provider or "Acme",
            "endpointTypes": {"event": {"source": {"enabled": source}, "destination": destination or {}}},
            "marketingDatabasesDefinition": {"marketingDatabases": [{"name": "people", "identifiers": names}]},
        }
        with self.gateway.client(self.account_key) as http:
            made = http.put("/v1/endpoint", json=body).raise_for_status().json()
        return ExchangeEndpoint(account=self, id=made["endpointId"], key=made["authenticationKey"], name=name)

    def subscribe(self, consumer: ExchangeEndpoint, publisher: ExchangeEndpoint, *codes: str) -> str:
        """Subscribe a consumer to codes of a publisher; the subscription's id."""
        types = [{"namespace": "exchange", "code": code} for code in codes]
        with self.gateway.client(params={"workspace": self.workspace}) as admin:
            body = {"name": "subscription", "types": types, "sources": [publisher.id]}
            made = admin.post("/headrace/v1/filters", json=body).raise_for_status().json()
            link = {"filter": made["id"], "endpoint": consumer.id}
            subscription: str = admin.post("/headrace/v1/subscriptions", json=link).raise_for_status().json()["id"]
        return subscription

    def stored(self, code: str, namespace: str = "exchange") -> int:
        """How many events of a code are in Kafka."""
        return self.gateway.records(self.workspace, namespace, code)

    def events(self, code: str, namespace: str = "exchange") -> list[DecodedEvent]:
        """The events of a code as their records hold them, in the order of receipt."""
        topic = event_topic(self.workspace, namespace, code)
        left = self.stored(code, namespace)
        decoders: dict[int, EventDecoder] = {}
        found: list[DecodedEvent] = []
        consumer = Consumer({"bootstrap.servers": self.gateway.bootstrap, "group.id": f"read-{uuid4()}"})
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
            while len(found) < left:
                for message in consumer.consume(left - len(found), timeout=10):
                    value = message.value() or b""
                    schema_id = int.from_bytes(value[1:5], "big")
                    if schema_id not in decoders:
                        decoders[schema_id] = EventDecoder(self._schema(schema_id))
                    found.append(decoders[schema_id].decode(value))
        finally:
            consumer.close()
        return sorted(found, key=lambda event: (event.received_at, event.id))

    def _schema(self, schema_id: int) -> str:
        with self.gateway.client() as http:
            answer = http.get(f"/schema-registry/schemas/ids/{schema_id}").raise_for_status()
        text: str = json.loads(answer.content)["schema"]
        return text


def exchange_account(gateway: RunningGateway) -> ExchangeAccount:
    """A new account."""
    workspace = gateway.create_workspace()
    keys = []
    with gateway.client(params={"workspace": workspace}) as admin:
        for level in ("account", "application"):
            body = {"name": level, "realm": "exchange", "level": level, "roles": []}
            made = admin.post("/headrace/v1/clients", json=body).raise_for_status().json()
            key = admin.post(f"/headrace/v1/clients/{made['id']}/keys").raise_for_status().json()
            keys.append(key["key"])
    return ExchangeAccount(gateway=gateway, workspace=workspace, account_key=keys[0], application_key=keys[1])


def refused(answer: httpx.Response, status: int, *paths: str) -> None:
    """Check a refusal that names at least these members."""
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert list(error) == ["message", "code", "errors"]
    assert error["code"] == status
    assert {one["path"] for one in error["errors"]} >= set(paths)
