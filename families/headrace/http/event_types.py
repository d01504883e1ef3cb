"""Event types, and what clients registered to publish or receive."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from ingest_api.management.dependencies import Caller, Readable, TheGateway, Workspace, existing
from ingest_api.management.models import Change, Input, Output, TypeName, example
from ingest_api.management.pages import Cursor, Limit, Page, as_model, page_answer
from schemas.model.errors import NotFound
from schemas.model.event_type import Attribute, Compatibility, LedgerPolicy, Registration, RegistrationKind
from schemas.model.topics import event_topic
from schemas.security.permissions import Operation, check, check_for, owner_for

router = APIRouter(tags=["Event types and registrations"])


_EXAMPLE = {
    "code": "Offer",
    "attributes": [
        {"name": "ListingId", "type": "String", "required": True},
        {"name": "OfferAmount", "type": "Number"},
    ],
}


Namespace = Annotated[TypeName, Field(pattern="^[^/]*$", description="Without slashes: paths and types have them.")]


class AttributeInput(Input):
    """One attribute to register."""

    name: Annotated[TypeName, Field(description='Without quotation marks (`"`), backslashes and control characters.')]
    type: Annotated[str, Field(description="String, Number, Boolean, Time, integer, decimal(p,s) or json.")]
    required: bool = False


class AttributeOutput(BaseModel):
    """One attribute of an event type's data."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    name: str
    type: str
    required: bool


class EventTypeInput(Input):
    """An event type to register."""

    model_config = example(**_EXAMPLE, partition_key="data.ListingId")

    namespace: Namespace = "events"
    code: TypeName
    name: str = ""
    description: str = ""
    attributes: tuple[AttributeInput, ...] = ()
    open: Annotated[bool, Field(description="`data` is any JSON, kept as text.")] = False
    partition_key: Annotated[
        str | None, Field(description="`source`, `data.<attribute>`, `identifier.<name>`, or null for none.")
    ] = None
    partitions: Annotated[int, Field(ge=1, le=1_000)] | None = None
    compatibility: Compatibility = Compatibility.BACKWARD
    ledger: LedgerPolicy = LedgerPolicy.ALL
    compacted: bool = False


class EventTypeChange(Change):
    """What of an event type shall change."""

    model_config = example(description="Offers as they come in")

    name: str = ""
    description: str = ""
    attributes: tuple[AttributeInput, ...] = ()
    partitions: Annotated[int, Field(ge=1, le=1_000)] = 1
    compatibility: Compatibility = Compatibility.BACKWARD
    ledger: LedgerPolicy = LedgerPolicy.ALL


class EventTypeOutput(Output):
    """An event type: a topic and its schema."""

    namespace: str
    code: str
    name: str
    description: str
    topic: str
    subject: str
    schema_id: int
    attributes: tuple[AttributeOutput, ...]
    open: bool
    partition_key: str | None
    effective_partitions: int
    compatibility: Compatibility
    ledger: LedgerPolicy
    compacted: bool


class ChangedEventType(EventTypeOutput):
    """An event type after a change."""

    warnings: Annotated[
        tuple[str, ...],
        Field(description="Registrations that lack attributes of the type, which their clients cannot publish."),
    ] = ()


class RegistrationInput(Input):
    """What a client will publish or receive."""

    model_config = example(**_EXAMPLE, kind="PUBLISH")

    namespace: Namespace = "events"
    code: TypeName
    kind: RegistrationKind = RegistrationKind.PUBLISH
    client: Annotated[str | None, Field(description="Operators register for any client; others for themselves.")] = None
    name: str = ""
    description: str = ""
    attributes: tuple[AttributeInput, ...] = ()
    open: bool = False
    partition_key: str | None = None
    partitions: Annotated[int, Field(ge=1, le=1_000)] | None = None


class RegistrationChange(Change):
    """What of a registration shall change."""

    model_config = example(description="Offers of the web shop")

    name: str = ""
    description: str = ""
    attributes: tuple[AttributeInput, ...] = ()


class RegistrationOutput(Output):
    """What a client registered: publishing is checked against it."""

    client: str
    namespace: str
    code: str
    topic: str
    kind: Annotated[RegistrationKind, Field(validation_alias="registration")]
    name: str
    description: str
    version: int
    attributes: tuple[AttributeOutput, ...]


@router.get("/event-types", summary="List event types", response_model=Page[EventTypeOutput])
async def list_event_types(
    gateway: TheGateway,
    readable: Readable,
    limit: Limit = 100,
    cursor: Cursor = None,
    namespace: Annotated[str | None, Query(description="Only of this namespace.")] = None,
) -> Response:
    """Those of the workspace, for everybody in it who has a role."""
    wanted = [one for one in readable.event_types() if namespace is None or one.namespace == namespace]
    return await page_answer(gateway.slices, "event-types", as_model(EventTypeOutput), wanted, limit, cursor)


@router.post("/event-types", status_code=201, summary="Register an event type")
async def create_event_type(
    gateway: TheGateway, caller: Caller, workspace: Workspace, body: EventTypeInput
) -> EventTypeOutput:
    """Creates the topic and the schema. A producer is registered as its publisher; an operator publishes anyway.

    The same again changes nothing; what contradicts the type as it is is refused with 409.
    """
    owner = owner_for(caller, Operation.REGISTER_TYPE)
    registering = gateway.event_types.register(
        None if owner is None else caller, workspace, body.namespace, body.code, **_said(body)
    )
    event_type, _ = await gateway.in_time(registering)
    return EventTypeOutput.model_validate(event_type)


@router.get("/event-types/{namespace}/{code:path}", summary="Get an event type")
async def get_event_type(readable: Readable, namespace: str, code: str) -> EventTypeOutput:
    """With its topic and the id of its latest schema."""
    found = readable.event_type(event_topic(readable.scope.workspace, namespace, code))
    return EventTypeOutput.model_validate(existing(found, f"event type {namespace}/{code}"))


@router.patch("/event-types/{namespace}/{code:path}", summary="Change an event type")
async def change_event_type(
    gateway: TheGateway, caller: Caller, workspace: Workspace, namespace: str, code: str, body: EventTypeChange
) -> ChangedEventType:
    """For operators. ``attributes`` are all that the type shall have.

    Registrations of this API that list all attributes of the type follow it. Others stay: `warnings` names those that
    lack an attribute, and an attribute that one of them lists cannot be left out (409).
    """
    check(caller, Operation.CHANGE_TYPE)
    changing = gateway.event_types.update(workspace, namespace, code, **_said(body))
    changed = ChangedEventType.model_validate(await gateway.in_time(changing))
    if body.attributes and "attributes" in body.model_fields_set:
        registrations = (await gateway.view()).registrations_for(changed.topic)
        changed = changed.model_copy(update={"warnings": _lacking(registrations, changed)})
    return changed


def _lacking(registrations: Iterable[Registration], event_type: EventTypeOutput) -> tuple[str, ...]:
    """Which publishers' registrations lack attributes of their type."""
    names = [each.name for each in event_type.attributes]
    warnings = []
    for each in registrations:
        lacks = [name for name in names if name not in {attribute.name for attribute in each.attributes}]
        if lacks and each.registration is RegistrationKind.PUBLISH:
            warnings.append(
                f"The registration of client {each.client} lacks {', '.join(lacks)}: the client cannot publish with it "
                "until its registration is changed."
            )
    return tuple(warnings)


@router.delete("/event-types/{namespace}/{code:path}", status_code=204, summary="Delete an event type")
async def delete_event_type(
    gateway: TheGateway, caller: Caller, workspace: Workspace, namespace: str, code: str
) -> None:
    """For operators. Its registrations go with it; the topic and its events stay."""
    check(caller, Operation.CHANGE_TYPE)
    await gateway.event_types.delete(workspace, namespace, code)


@router.get("/registrations", summary="List registrations", response_model=Page[RegistrationOutput])
async def list_registrations(
    gateway: TheGateway,
    readable: Readable,
    limit: Limit = 100,
    cursor: Cursor = None,
    client: Annotated[str | None, Query(description="Only of this client.")] = None,
) -> Response:
    """One's own; for viewers and operators, those of the workspace."""
    wanted = [one for one in readable.registrations() if client in (None, one.client)]
    return await page_answer(gateway.slices, "registrations", as_model(RegistrationOutput), wanted, limit, cursor)


@router.post("/registrations", status_code=201, summary="Register to publish or receive a type")
async def create_registration(
    gateway: TheGateway, caller: Caller, workspace: Workspace, body: RegistrationInput
) -> RegistrationOutput:
    """Creates the event type if it is new, else adds to its attributes. The same again changes nothing."""
    publishes = body.kind is RegistrationKind.PUBLISH
    operation = Operation.REGISTER_PUBLISHER if publishes else Operation.REGISTER_RECEIVER
    check_for(caller, operation, body.client or caller.id)
    # An administrator who acts elsewhere is no client there, and needs no registration to publish.
    wanted = body.client or caller.id
    client = (await gateway.view()).client(workspace, wanted)
    if client is None:
        raise NotFound(f"There is no client {wanted} in the workspace.")
    registering = gateway.event_types.register(client, workspace, body.namespace, body.code, **_said(body))
    _, registration = await gateway.in_time(registering)
    return RegistrationOutput.model_validate(registration)


@router.patch("/registrations/{client}/{kind}/{namespace}/{code:path}", summary="Change a registration")
async def change_registration(
    gateway: TheGateway,
    caller: Caller,
    workspace: Workspace,
    client: str,
    kind: RegistrationKind,
    namespace: str,
    code: str,
    body: RegistrationChange,
) -> RegistrationOutput:
    """One's own, or any for operators. Only the members sent change; the event type's schema evolves with them."""
    check_for(caller, Operation.CHANGE_REGISTRATION, client)
    _, registration = await gateway.event_types.update_registration(
        client, workspace, namespace, code, kind=kind, **_said(body)
    )
    return RegistrationOutput.model_validate(registration)


@router.delete(
    "/registrations/{client}/{kind}/{namespace}/{code:path}", status_code=204, summary="Withdraw a registration"
)
async def delete_registration(
    gateway: TheGateway,
    caller: Caller,
    workspace: Workspace,
    client: str,
    kind: RegistrationKind,
    namespace: str,
    code: str,
) -> None:
    """One's own, or any for operators. The event type and its topic stay."""
    check_for(caller, Operation.CHANGE_REGISTRATION, client)
    await gateway.event_types.delete_registration(client, workspace, namespace, code, kind)


def _said(body: Input) -> dict[str, Any]:
    """What the caller said, beside which type and which client: what is left out keeps its value or default."""
    said = {name: value for name, value in body.given().items() if name not in ("namespace", "code", "client")}
    if said.get("attributes") is not None:
        said["attributes"] = tuple(
            Attribute(name=one.name, type=one.type, required=one.required) for one in said["attributes"]
        )
    return said
