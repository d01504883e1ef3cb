"""``/v1/eventtype``: what an Exchange endpoint publishes or receives, as its document prints it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Security
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from families.exchange.catalog.consequences import NAMESPACE as NOTIFICATIONS
from families.exchange.catalog.event_types import DEFAULT_NAMESPACE
from families.exchange.http.access import KEY, ExchangeEndpoint, endpoint_holder
from families.exchange.http.openapi import ERRORS, WITH_BODY
from families.exchange.http.services import event_types_of
from ingest_api.gateway import Gateway
from ingest_api.management.dependencies import Authorization, TheGateway
from ingest_api.management.models import example
from ingest_api.management.pages import encode_model, list_answer
from schemas.avro.attributes import BASIC_KINDS, AttributeKind, parse_type
from schemas.model.access import Client
from schemas.model.errors import PayloadTooLarge, PermissionDenied, Unauthenticated
from schemas.model.event_type import Attribute, Registration, RegistrationKind

EVENT_TYPES = "/v1/eventtype"

ATTRIBUTE_TYPES = {
    kind.value.lower(): kind.value
    for kind in (AttributeKind.STRING, AttributeKind.NUMBER, AttributeKind.BOOLEAN, AttributeKind.TIME)
}
"""The document's four, by their name in lower case: no client can send what only our own API can register."""

MOST_LISTED = 50_000
"""Attributes in one list of event types, which has no pages: printing them takes a worker 200 ms, in slices."""

router = APIRouter(tags=["Exchange event types"], responses=ERRORS)


_CONFLICT: dict[int | str, dict[str, Any]] = {409: WITH_BODY[409]}


def _attribute_type(text: str) -> str:
    found = ATTRIBUTE_TYPES.get(text.lower())
    if found is None:
        raise PydanticCustomError("attribute_type", "must be String, Number, Boolean or Time")
    return found


def _only_version(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != 1:
        raise PydanticCustomError("version", "must be the number 1, the only version of the event catalog")
    return int(value)


def _free_namespace(namespace: str) -> str:
    if namespace == NOTIFICATIONS:
        raise PydanticCustomError("namespace", "is reserved for subscription notifications")
    return namespace


Text = Annotated[str, Field(min_length=1, max_length=255)]


class ExchangeAttributeModel(BaseModel):
    """An attribute of an event type."""

    model_config = ConfigDict(frozen=True)

    name: Text
    type: Annotated[str, AfterValidator(_attribute_type), Field(description="String, Number, Boolean or Time.")]


def listed(attributes: Iterable[ExchangeAttributeModel]) -> list[Attribute]:
    """Attributes as the catalog takes them."""
    return [Attribute(name=one.name, type=one.type) for one in attributes]


class ExchangeEventTypeInput(BaseModel):
    """An event type to register; members that the document does not know are ignored."""

    model_config = ConfigDict(
        frozen=True,
        populate_by_name=True,
        **example(code="orderPaid", name="Order paid", attributes=[{"name": "orderTotal", "type": "Number"}]),
    )

    code: Text
    name: Text
    description: str | None = None
    namespace: Annotated[Text, AfterValidator(_free_namespace)] | None = None
    version: Annotated[int, Field(ge=1, le=1), BeforeValidator(_only_version)] = 1
    registration_type: Annotated[RegistrationKind, Field(alias="registrationType")] = RegistrationKind.PUBLISH
    attributes: tuple[ExchangeAttributeModel, ...] | None = None


class ExchangeEventTypeOutput(BaseModel):
    """A registered event type; the document's members in the document's order."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    code: str
    version: int
    namespace: str
    name: str
    description: str
    attributes: tuple[ExchangeAttributeModel, ...]
    registration_type: Annotated[RegistrationKind, Field(alias="registrationType")]

    @classmethod
    def of(cls, registration: Registration) -> ExchangeEventTypeOutput:
        """What a registration says."""
        return cls(
            code=registration.code,
            version=registration.version,
            namespace=registration.namespace,
            name=registration.name,
            description=registration.description,
            attributes=tuple(
                ExchangeAttributeModel(name=one.name, type=BASIC_KINDS[parse_type(one.type).kind])
                for one in registration.attributes
            ),
            registration_type=registration.registration,
        )


def check_listable(registrations: Sequence[Registration]) -> Sequence[Registration]:
    """Return the registrations of a list.

    Raises:
        PayloadTooLarge: the list would be too long.
    """
    if sum(len(each.attributes) for each in registrations) > MOST_LISTED:
        raise PayloadTooLarge(f"The event types have more than {MOST_LISTED:,} attributes together: too many to list.")
    return registrations


@router.post(EVENT_TYPES, summary="Register an event type for this endpoint", responses=WITH_BODY)
async def register_event_type(
    gateway: TheGateway, endpoint: ExchangeEndpoint, body: ExchangeEventTypeInput
) -> ExchangeEventTypeOutput:
    """The same again changes nothing; the same code with something different is a conflict.

    A code that publishes and one that subscribes are two registrations. An endpoint that lists no attributes may send
    none.
    """
    _, registration = await gateway.in_time(
        gateway.event_types.register(
            endpoint,
            endpoint.workspace,
            body.namespace or DEFAULT_NAMESPACE,
            body.code,
            attributes=listed(body.attributes or ()),
            kind=body.registration_type,
            name=body.name,
            description=body.description or "",
            version=body.version,
        )
    )
    assert registration is not None  # noqa: S101  # a client was given, so it has one
    return ExchangeEventTypeOutput.of(registration)


@router.get(EVENT_TYPES, summary="List the event types of this endpoint", response_model=list[ExchangeEventTypeOutput])
async def list_event_types(gateway: TheGateway, endpoint: ExchangeEndpoint) -> Response:
    """Everything that the endpoint has registered, the oldest first."""
    found = check_listable((await gateway.view()).registrations_of(endpoint.workspace, endpoint.id))
    return await event_types_answer(gateway, sorted(found, key=lambda one: one.created_at))


async def event_types_answer(gateway: Gateway, registrations: Iterable[Registration]) -> Response:
    """A list of registrations as an answer."""
    return await list_answer(gateway.slices, lambda one: encode_model(ExchangeEventTypeOutput.of(one)), registrations)


async def _endpoint_or_403(
    gateway: TheGateway, authorization: Authorization, _scheme: Annotated[object, Security(KEY)]
) -> Client:
    """The Exchange endpoint of the key; the document knows no 401 here.

    Raises:
        PermissionDenied: there is no such key, or it is not an endpoint-level one.
    """
    try:
        return await endpoint_holder(gateway.authenticator, authorization)
    except Unauthenticated as error:
        raise PermissionDenied(str(error)) from error


@router.delete(EVENT_TYPES + "/{code:path}", summary="Remove an event type from this endpoint", responses=_CONFLICT)
async def delete_event_type(
    gateway: TheGateway,
    endpoint: Annotated[Client, Depends(_endpoint_or_403)],
    code: str,
    namespace: Annotated[str | None, Query(description="Where the code is registered in several.")] = None,
) -> bool:
    """True if it was registered and is no more, false if it was not. Events and the topic stay."""
    return await gateway.in_time(event_types_of(gateway).delete(endpoint, code, namespace))
