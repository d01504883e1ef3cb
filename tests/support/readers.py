"""Clients of every role, each with resources of its own, for tests of who may read what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from confluent_kafka import Producer

from backbone.event_files import Chain, event_files
from backbone.ledger.rows import EventRow, LedgerRows, LetterRow
from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from schemas.model import timestamps
from schemas.model.delivery import Attempt, Delivery, Outcome, SourceOffset
from schemas.model.ids import attempt_id, delivery_id
from schemas.model.topics import DEAD_LETTERS, event_topic

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway

ROLES = ("none", "producer", "subscriber", "viewer", "operator", "admin")
NAMESPACE, PLACE = "read", 0
CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A client with one of everything.

    Attributes:
        ids: of its resources, by the names that the paths of the OpenAPI document give them.
        published: the event that it published.
        delivered: an event of a stranger that was delivered to its endpoint.
    """

    client: str
    key: str
    workspace: str
    ids: dict[str, str]
    published: str
    delivered: str


def reader(gateway: RunningGateway, workspace: str, role: str, **properties: str) -> Reader:
    """A client that made its resources while it was allowed to, and has only that role now."""
    client, key = gateway.create_client(workspace, "producer", "subscriber", **properties)
    code = f"Code-{uuid4()}"
    with gateway.client(key) as http:

        def make(path: str, **body: Any) -> dict[str, Any]:
            made: dict[str, Any] = http.post(f"/headrace/v1/{path}", json=body).raise_for_status().json()
            return made

        make("registrations", kind="PUBLISH", namespace=NAMESPACE, code=code, open=True)
        endpoint = make("endpoints", name="files", type="FILE")["id"]
        chosen = make("filters", name="all", types=[{"namespace": NAMESPACE, "code": code}])["id"]
        subscription = make("subscriptions", filter=chosen, endpoint=endpoint)["id"]
        hook = make("endpoints", name="hook", url="https://example.com/")["id"]
        run = make(f"endpoints/{hook}/replay", **{"from": "earliest", "matched": "then"})["id"]
        event = {"specversion": "1.0", "type": f"{NAMESPACE}/{code}", "source": "test", "data": {}}
        sent = http.post("/headrace/v1/events", json=event, headers=CLOUDEVENT).raise_for_status().json()["id"]
        (own_key,) = http.get(f"/headrace/v1/clients/{client}/keys").raise_for_status().json()["items"]
    delivered = indexed(gateway, workspace, code, published=(sent, client), endpoint=endpoint)
    name = event_files(f"file://{gateway.directory}/files").publish(Chain(endpoint, client, 0), 0, [b'{"offset":0}\n'])
    give(gateway, workspace, client, role)
    topic = event_topic(workspace, NAMESPACE, code)
    ids = {
        "client_id": client,
        "client": client,
        "key_id": own_key["id"],
        "namespace": NAMESPACE,
        "code": code,
        "kind": "PUBLISH",
        "endpoint_id": endpoint,
        "filter_id": chosen,
        "subscription_id": subscription,
        "event_id": sent,
        "delivery_id": delivery_id(delivered, endpoint),
        "run_id": run,
        "letter_id": dead_letter(gateway, workspace, topic, endpoint),
        "name": name,
        "subject": f"{topic}-value",
        "version": "latest",
    }
    return Reader(client=client, key=key, workspace=workspace, ids=ids, published=sent, delivered=delivered)


def dead_letter(gateway: RunningGateway, workspace: str, topic: str, endpoint: str) -> str:
    """The id of a delivery to an endpoint that was given up."""
    now, event = timestamps.now(), str(uuid4())
    sent = Delivery(
        id=delivery_id(event, endpoint),
        event=event,
        endpoint=endpoint,
        workspace=workspace,
        source=SourceOffset(topic, PLACE, 0),
        subscriptions=(),
        routed_at=now,
    )
    places: list[int] = []
    producer = Producer({"bootstrap.servers": gateway.bootstrap})
    headers = [*sent.to_headers(), ("hr_dead_kind", b"delivery"), ("hr_dead_reason", b"given up")]
    producer.produce(
        DEAD_LETTERS,
        b"event",
        partition=0,
        headers=headers,  # type: ignore[arg-type]  # the stub's list type is invariant
        on_delivery=lambda _error, message: places.append(message.offset() or 0),
    )
    assert producer.flush(60) == 0
    row = LetterRow(
        partition=0,
        offset=places[0],
        workspace=workspace,
        kind="delivery",
        topic=topic,
        source_offset=str(sent.source),
        reason="given up",
        endpoint=endpoint,
        delivery=sent.id,
        event=event,
        run=sent.run,
        status=None,
        set_aside_at=now,
    )
    engine = open_ledger(f"sqlite:///{gateway.directory}/ledger.sqlite3")
    LedgerWriter(engine).write(LedgerRows(letters=[row]))
    engine.dispose()
    return f"0-{places[0]}"


def graphql_reader(gateway: RunningGateway, workspace: str, role: str, **properties: str) -> Reader:
    """The same of the event service's GraphQL API: an endpoint and an event filter that are linked."""
    client, key = gateway.create_client(workspace, "subscriber", realm="graphql", **properties)
    with gateway.client(key) as http:

        def make(document: str, **variables: str) -> str:
            body = {"query": document, "variables": variables}
            answer = http.post("/event-service/graphql", json=body).raise_for_status().json()
            assert "errors" not in answer, answer
            made: str = answer["data"]["made"]["id"]
            return made

        endpoint = make('mutation { made: createWebSocketEndpoint(name: "socket") { id } }')
        chosen = make(
            "mutation ($id: ID!) { made: createEventFilters(endpointIds: [$id], eventFiltersInput: "
            '{in: {eventTypes: ["CROSSING"]}}) { id } }',
            id=endpoint,
        )
    published = str(uuid4())
    delivered = indexed(gateway, workspace, "CROSSING", published=(published, client), endpoint=endpoint)
    give(gateway, workspace, client, role)
    ids = {"endpoint": endpoint, "filter": chosen}
    return Reader(client=client, key=key, workspace=workspace, ids=ids, published=published, delivered=delivered)


def give(gateway: RunningGateway, workspace: str, client: str, role: str) -> None:
    """Leave a client only that role."""
    roles = [] if role == "none" else [role]
    with gateway.client(params={"workspace": workspace}) as admin:
        admin.patch(f"/headrace/v1/clients/{client}", json={"roles": roles}).raise_for_status()


def indexed(gateway: RunningGateway, workspace: str, code: str, *, published: tuple[str, str], endpoint: str) -> str:
    """Have the ledger know two events: what a client published, and what came to its endpoint; the latter's id.

    Args:
        gateway, workspace, code: where, and the event type.
        published: the event's id and its client's, tried at a stranger's endpoint.
        endpoint: that got a stranger's event.
    """
    delivered = str(uuid4())
    topic = event_topic(workspace, NAMESPACE, code)
    now = timestamps.now()
    events, deliveries, attempts = [], [], []
    for event, publisher, receiver in ((*published, "a-strangers-endpoint"), (delivered, "stranger", endpoint)):
        source = SourceOffset(topic, PLACE, len(events))
        row = EventRow(
            workspace=workspace,
            id=event,
            topic=topic,
            source_offset=str(source),
            namespace=NAMESPACE,
            code=code,
            source=publisher,
            subject=None,
            time=now,
            received_at=now,
            channel=None,
            identifiers="[]",
            data="{}",
            producer_id=None,
        )
        sent = Delivery(
            id=delivery_id(event, receiver),
            event=event,
            endpoint=receiver,
            workspace=workspace,
            source=source,
            subscriptions=("s",),
            routed_at=now,
        )
        tried = Attempt(
            id=attempt_id(sent.id, sent.run, 1),
            delivery=sent.id,
            event=event,
            endpoint=receiver,
            workspace=workspace,
            source=source,
            run=sent.run,
            number=1,
            outcome=Outcome.DEAD,
            started_at=now,
            duration=0.1,
            status=500,
            error="an error of the receiver",
            response="a response of the receiver",
        )
        events.append(row)
        deliveries.append(sent)
        attempts.append(tried)
    engine = open_ledger(f"sqlite:///{gateway.directory}/ledger.sqlite3")
    LedgerWriter(engine).write(LedgerRows(events=events, deliveries=deliveries, attempts=attempts))
    engine.dispose()
    return delivered
