"""One call that sets up a first event: its type, a client that may publish it, and an endpoint that receives it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from families.headrace.http.endpoint_models import Url
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Caller, Key, TheGateway, Workspace
from ingest_api.management.models import Input, example
from schemas.model.access import Client, Role
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, TypeSelection
from schemas.model.errors import InvalidRequest, Problem
from schemas.model.event_type import Attribute, EventType, RegistrationKind
from schemas.model.topics import event_topic
from schemas.security.binding import end_of
from schemas.security.permissions import Operation, check

router = APIRouter(tags=["Quickstart"])

NAME = "quickstart"
"""Of the client, the endpoint and the filter."""

NAMESPACE, CODE = "events", "quickstart.order"
_ATTRIBUTES = (Attribute(name="orderId", type="String", required=True), Attribute(name="total", type="Number"))
_ROLES = (Role.PRODUCER, Role.SUBSCRIBER)


class QuickstartInput(Input):
    """What to set up besides the event type and the client."""

    model_config = example(url="https://example.com/hooks")

    url: Annotated[Url | None, Field(description="Where its webhooks shall go; null: nowhere.")] = None
    new_secrets: Annotated[
        bool, Field(description="Issue another key, and give the endpoint a new signing secret beside its old one.")
    ] = False


class QuickstartType(BaseModel):
    """The event type."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    namespace: str
    code: str
    topic: str
    subject: str
    schema_id: int


class QuickstartEndpoint(BaseModel):
    """Where webhooks go."""

    id: str
    url: str
    signing_secret: Annotated[str | None, Field(description="Shown this once; null when it was made before.")]


class QuickstartOutput(BaseModel):
    """What there is now."""

    workspace: str
    client: Annotated[str, Field(description="Id of the client, which may publish and subscribe.")]
    key: Annotated[str | None, Field(description="Its API key, shown this once; null when it had one before.")]
    event_type: QuickstartType
    endpoint: QuickstartEndpoint | None
    created: Annotated[tuple[str, ...], Field(description="What this call made; the rest was there before.")]


@router.post("/quickstart", status_code=201, summary="Set up a first event")
async def quickstart(
    gateway: TheGateway,
    caller: Caller,
    caller_key: Key,
    workspace: Workspace,
    body: QuickstartInput | None = None,
) -> QuickstartOutput:
    """For operators. The same again makes what is missing, and says what is there; secrets are shown once.

    The event type has the attributes `orderId` (String) and `total` (Number). The key lasts no longer than the one that
    the call was made with.
    """
    check(caller, Operation.MANAGE_CLIENTS)
    wanted = body or QuickstartInput()
    refusal = None if wanted.url is None else gateway.writer.destinations.refusal(wanted.url)
    if refusal is not None:
        raise InvalidRequest("The endpoint is not valid.", [Problem(path="$.url", message=refusal)])
    view = await gateway.view()
    topic = event_topic(workspace, NAMESPACE, CODE)
    created = [] if view.client(workspace, NAME) else ["client"]
    created += [] if view.event_type(topic) else ["event_type"]
    client = await gateway.accounts.create_client(workspace, NAME, roles=_ROLES, id=NAME)
    event_type = await _registered(gateway, client, topic)
    endpoint = None
    if wanted.url is not None:
        endpoint = await _subscribed(gateway, client, wanted.url)
        created += ["endpoint"] if endpoint.signing_secret else []
        if wanted.new_secrets and endpoint.signing_secret is None:
            _, secret = await gateway.routes.rotate_secret(workspace, endpoint.id)
            endpoint = endpoint.model_copy(update={"signing_secret": secret})
    expires_at = end_of(caller_key)
    key = await gateway.accounts.issue_first_key(workspace, client.id, expires_at=expires_at)
    if key is None and wanted.new_secrets:
        _, key = await gateway.accounts.issue_key(workspace, client.id, expires_at=expires_at)
    created += [] if key is None else ["key"]
    return QuickstartOutput(
        workspace=workspace,
        client=client.id,
        key=key,
        event_type=QuickstartType.model_validate(event_type),
        endpoint=endpoint,
        created=tuple(created),
    )


async def _registered(gateway: Gateway, client: Client, topic: str) -> EventType:
    """The event type, which the client may publish; one that is there keeps its attributes."""
    view = await gateway.view()
    found = view.event_type(topic)
    if found is not None and view.registration(client.id, topic, RegistrationKind.PUBLISH) is not None:
        return found
    attributes = _ATTRIBUTES if found is None else None
    registering = gateway.event_types.register(client, client.workspace, NAMESPACE, CODE, attributes=attributes)
    event_type, _ = await gateway.in_time(registering)
    return event_type


async def _subscribed(gateway: Gateway, client: Client, url: str) -> QuickstartEndpoint:
    """The client's endpoint with that URL, which is sent the events of the type."""
    owned: dict[str, Any] = {
        "id": "",
        "workspace": client.workspace,
        "name": NAME,
        "client": client.id,
        "created_at": 0,
        "updated_at": 0,
    }
    endpoint, secret = await gateway.routes.create_endpoint(
        Endpoint(**owned, type=EndpointType.WEB_HOOK, url=url), key=(client.unique_id, f"{NAME} {url}")
    )
    event_filter = await gateway.routes.create_filter(
        EventFilter(**owned, types=(TypeSelection(namespace=NAMESPACE, code=CODE),), version=2),
        key=(client.unique_id, NAME),
    )
    await gateway.routes.link(client.workspace, event_filter.id, endpoint.id)
    return QuickstartEndpoint(id=endpoint.id, url=endpoint.url or url, signing_secret=secret)
