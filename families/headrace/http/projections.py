"""Projections: what of an event an endpoint is sent, by event type."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from backbone.catalog.projections import KEPT, present
from backbone.publishing.projection_dry_run import SHOWN_BYTES, TriedOn
from families.headrace.http.endpoints import changeable_endpoint
from ingest_api.management.dependencies import (
    Caller,
    SubscribersReadable,
    TheGateway,
    Workspace,
    existing,
)
from ingest_api.management.models import Input, Output, Time, TypeName, example
from schemas.model.errors import NotFound
from schemas.model.projection import EndpointProjection
from schemas.model.topics import event_topic
from schemas.projections.projection import Projection
from schemas.projections.syntax import LONGEST

router = APIRouter(tags=["Endpoints, filters and subscriptions"])

_DAYS = KEPT // 86_400_000_000

Expression = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST,
        description="JMESPath (https://jmespath.org) over the event as a CloudEvent; its result is the request's body.",
    ),
]


class ProjectionInput(Input):
    """What of an event is sent."""

    model_config = example(expression="{id: id, amount: data.OfferAmount}")

    expression: Expression


class ProjectionTryInput(Input):
    """An expression to try."""

    model_config = example(namespace="events", code="Offer", expression="{id: id, amount: data.OfferAmount}")

    namespace: TypeName = "events"
    code: TypeName
    expression: Expression


class VersionOutput(BaseModel):
    """One expression. Deliveries that were routed with it go out with it."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    number: int
    expression: str
    created_at: Time
    replaced_at: Annotated[Time | None, Field(description="null: it is the present one.")]


class ProjectionOutput(Output):
    """What of an event of one type an endpoint is sent."""

    namespace: str
    code: str
    version: int
    expression: str
    versions: Annotated[
        tuple[VersionOutput, ...], Field(description=f"Oldest first; those replaced are kept for {_DAYS} days.")
    ]

    @classmethod
    def of(cls, projection: EndpointProjection) -> ProjectionOutput:
        """The projection as it stands."""
        current = projection.version(projection.current)
        members = {name: getattr(projection, name) for name in ("namespace", "code", "created_at", "updated_at")}
        members |= {"versions": [VersionOutput.model_validate(each) for each in projection.versions]}
        members |= {"version": projection.current, "expression": "" if current is None else current.expression}
        return cls.model_validate(members)


class ProjectionsOutput(BaseModel):
    """All of an endpoint: there are few."""

    items: list[ProjectionOutput]


class TriedOutput(BaseModel):
    """One event, and what the expression makes of it."""

    id: str
    event_id: str
    type: str
    source: str
    partition: int
    offset: int
    result: Annotated[
        JsonValue, Field(description=f"The body; null where it failed, or has more than {SHOWN_BYTES:,} bytes.")
    ]
    size: Annotated[int | None, Field(description="Bytes of the body.")]
    error: Annotated[str | None, Field(description="Why the event would be set aside as a dead letter.")]
    position: Annotated[int | None, Field(description="Characters of the expression before the part that failed.")]


class TriesOutput(BaseModel):
    """The last events, the latest first."""

    failed: int
    events: list[TriedOutput]


@router.get("/endpoints/{endpoint_id}/projections", summary="List an endpoint's projections")
async def list_projections(gateway: TheGateway, readable: SubscribersReadable, endpoint_id: str) -> ProjectionsOutput:
    """One's own, or any of the workspace for viewers and operators."""
    found = existing(readable.endpoint(endpoint_id), f"endpoint {endpoint_id}")
    projections = sorted(
        present((await gateway.view()).projections_of(found.id)), key=lambda each: (each.namespace, each.code)
    )
    return ProjectionsOutput(items=[ProjectionOutput.of(each) for each in projections])


@router.get("/endpoints/{endpoint_id}/projections/{namespace}/{code:path}", summary="Get a projection")
async def get_projection(
    gateway: TheGateway, readable: SubscribersReadable, endpoint_id: str, namespace: str, code: str
) -> ProjectionOutput:
    """With the versions that deliveries may still need."""
    endpoint = existing(readable.endpoint(endpoint_id), f"endpoint {endpoint_id}")
    topic = event_topic(readable.scope.workspace, namespace, code)
    found = (await gateway.view()).projection(endpoint.id, topic)
    if found is None or found.current is None:
        raise NotFound(f"There is no projection of endpoint {endpoint_id} for {namespace}/{code}.")
    return ProjectionOutput.of(found)


@router.put("/endpoints/{endpoint_id}/projections/{namespace}/{code:path}", summary="Set a projection")
async def put_projection(
    gateway: TheGateway,
    caller: Caller,
    workspace: Workspace,
    endpoint_id: str,
    namespace: str,
    code: str,
    body: ProjectionInput,
) -> ProjectionOutput:
    """Events of the type that are accepted from now on are sent as the expression makes them.

    Each delivery keeps the version that it was routed with: all its tries have the same body. An event that the
    expression fails on becomes a dead letter at once.
    """
    endpoint = await changeable_endpoint(gateway, caller, workspace, endpoint_id)
    found = await gateway.projections.put(workspace, endpoint.id, namespace, code, body.expression)
    return ProjectionOutput.of(found)


@router.delete(
    "/endpoints/{endpoint_id}/projections/{namespace}/{code:path}", status_code=204, summary="Delete a projection"
)
async def delete_projection(
    gateway: TheGateway, caller: Caller, workspace: Workspace, endpoint_id: str, namespace: str, code: str
) -> None:
    """Events of the type that are accepted from now on are sent whole."""
    endpoint = await changeable_endpoint(gateway, caller, workspace, endpoint_id)
    await gateway.projections.delete(workspace, endpoint.id, namespace, code)


@router.post(
    "/endpoints/{endpoint_id}/projections/dry-run",
    summary="What would a projection have made of the last events?",
    response_model=TriesOutput,
)
async def dry_run_projection(
    gateway: TheGateway,
    readable: SubscribersReadable,
    endpoint_id: str,
    body: ProjectionTryInput,
    last: Annotated[int, Query(ge=1, le=20, description="How many events to look at, at most.")] = 5,
) -> Response:
    """Nothing is created and nothing is sent. The events are read from Kafka as they are there now.

    Subscribers see events that they may read, as far as the ledger has them: their own, and those delivered to their
    endpoints. `viewer`, `operator` and `admin` see those of the workspace.
    """
    existing(readable.endpoint(endpoint_id), f"endpoint {endpoint_id}")
    topic = event_topic(readable.scope.workspace, body.namespace, body.code)
    existing(readable.event_type(topic), f"event type {body.namespace}/{body.code}")
    tried = await gateway.dry_runs.of_projection(readable.scope, topic, Projection(body.expression), last=last)
    answer = {"failed": sum(one.error is not None for one in tried), "events": [_shown(one) for one in tried]}
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _shown(one: TriedOn) -> dict[str, Any]:
    """The answer's members; a result goes out as its text is."""
    members: dict[str, Any] = {name: getattr(one, name) for name in TriedOutput.model_fields}
    return members | {"result": None if one.result is None else msgspec.Raw(one.result)}
