"""``POST /v1/application``, ``PUT`` and ``GET /v1/endpoint``: who takes part in an Exchange account, and as what.

A push destination is posted to at ``<registered url>/v1/events``; a pull destination has event files.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from backbone.catalog.exchange import REGISTERED_URL, Definition, Destination, Registered, Roles
from ingest_api.control.dependencies import TheGateway
from ingest_api.families.exchange_access import KeyHolder, endpoint_of, is_endpoint, may_see
from ingest_api.families.exchange_openapi import ERRORS, NOT_FOUND, WITH_BODY
from schemas.access import Client, Role
from schemas.errors import InvalidRequest, Problem
from schemas.subscription import Endpoint, EndpointType
from schemas.urls import is_absolute

PUSH_SUFFIX = "/v1/events"
"""What is added to the path of a push destination's URL."""

router = APIRouter(tags=["Exchange endpoints and applications"], responses=ERRORS)

Text = Annotated[str, Field(min_length=1, max_length=200)]


def _absolute(url: str) -> str:
    if not is_absolute(url):
        raise PydanticCustomError("url", "must be an absolute http or https URL")
    return url


Url = Annotated[str, Field(max_length=2_000), AfterValidator(_absolute)]


class Model(BaseModel):
    """Members are spelt in camel case; those that are not kept here are ignored."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, alias_generator=to_camel)


class DestinationType(StrEnum):
    """How events reach a destination."""

    PUSH = "push"
    PULL = "pull"


class SourceModel(Model):
    """Whether the endpoint publishes."""

    enabled: StrictBool = False


class DestinationModel(SourceModel):
    """Whether and how the endpoint receives."""

    destination_type: DestinationType = DestinationType.PUSH
    url: Annotated[Url | None, Field(description="Of a push destination; else that of the endpoint.")] = None


class EventRolesModel(Model):
    """The endpoint's roles for events."""

    source: SourceModel = SourceModel()
    destination: DestinationModel = DestinationModel()


class EndpointTypesModel(Model):
    """Roles; those for segments are not kept."""

    event: EventRolesModel = EventRolesModel()


class IdentifierModel(Model):
    """An identifier that events may carry."""

    name: Text


class DatabaseModel(Model):
    """A marketing database: only its identifiers' names are kept."""

    identifiers: tuple[IdentifierModel, ...] = ()


class DatabasesModel(Model):
    """Where identifiers are registered."""

    marketing_databases: tuple[DatabaseModel, ...] = ()


class ApplicationInput(Model):
    """An application to register."""

    provider_name: Text
    description: str | None = None
    marketing_databases_definition: DatabasesModel | None = None


class ApplicationOutput(Model):
    """A registered application; its key is shown once."""

    application_id: str
    provider_name: str
    authentication_key: str | None = None


class EndpointInput(Model):
    """An endpoint to register; what is left out stays as it is, and roles are registered together."""

    name: Text | None = None
    description: str | None = None
    provider_name: Text | None = None
    url: Url | None = None
    endpoint_types: EndpointTypesModel | None = None
    marketing_databases_definition: DatabasesModel | None = None


class EndpointOutput(Model):
    """A registered endpoint."""

    endpoint_id: str
    name: str
    description: str
    provider_name: str | None
    endpoint_types: EndpointTypesModel
    marketing_databases_definition: DatabasesModel

    @classmethod
    def of(cls, client: Client, destination: Endpoint | None) -> EndpointOutput:
        """As the catalog has it."""
        receives = DestinationModel()
        if destination is not None:
            receives = DestinationModel(
                enabled=destination.enabled and Role.SUBSCRIBER in client.roles,
                destination_type=DestinationType.PULL
                if destination.type is EndpointType.FILE
                else DestinationType.PUSH,
                url=destination.options.get(REGISTERED_URL),
            )
        names = tuple(IdentifierModel(name=name) for name in client.identifiers)
        return cls(
            endpoint_id=client.id,
            name=client.name,
            description=client.description,
            provider_name=client.provider,
            endpoint_types=EndpointTypesModel(
                event=EventRolesModel(source=SourceModel(enabled=Role.PRODUCER in client.roles), destination=receives)
            ),
            marketing_databases_definition=DatabasesModel(marketing_databases=(DatabaseModel(identifiers=names),)),
        )


class NewEndpointOutput(EndpointOutput):
    """An endpoint that was just registered; its key is shown once."""

    authentication_key: str


@router.post(
    "/v1/application",
    summary="Register an application",
    response_model_exclude_none=True,
    responses=WITH_BODY,
)
async def register_application(gateway: TheGateway, caller: KeyHolder, body: ApplicationInput) -> ApplicationOutput:
    """With an application-level key its own; with an account-level key a new one, answered with its key."""
    definition = Definition(
        provider=body.provider_name,
        description=body.description,
        identifiers=_identifiers(body.marketing_databases_definition),
    )
    made = await gateway.in_time(gateway.exchange.put_application(caller, definition))
    return ApplicationOutput(
        application_id=made.client.id, provider_name=body.provider_name, authentication_key=made.key
    )


@router.put("/v1/endpoint", summary="Register an endpoint, or change it", responses=WITH_BODY)
async def put_endpoint(
    gateway: TheGateway, caller: KeyHolder, body: EndpointInput
) -> NewEndpointOutput | EndpointOutput:
    """With an endpoint-level key its own; else the one of that name, a new one being answered with its key."""
    definition = Definition(
        name=body.name,
        description=body.description,
        provider=body.provider_name,
        identifiers=_identifiers(body.marketing_databases_definition),
        roles=_roles(body),
    )
    made = await gateway.in_time(gateway.exchange.put_endpoint(caller, definition))
    return _answer(made)


@router.get("/v1/endpoint", summary="List endpoints")
async def list_endpoints(gateway: TheGateway, caller: KeyHolder) -> list[EndpointOutput]:
    """Those of the account or the application; with an endpoint-level key its own."""
    view = await gateway.view()
    found = [one for one in view.clients(caller.workspace) if is_endpoint(one) and may_see(caller, one)]
    return [EndpointOutput.of(one, view.endpoint(one.id)) for one in sorted(found, key=lambda one: one.created_at)]


@router.get("/v1/endpoint/{endpoint_id}", summary="Get an endpoint", responses=NOT_FOUND)
async def get_endpoint(gateway: TheGateway, caller: KeyHolder, endpoint_id: str) -> EndpointOutput:
    """One's own, or one of the account or the application."""
    found = await endpoint_of(gateway, caller, endpoint_id)
    return EndpointOutput.of(found, gateway.catalog.view.endpoint(found.id))


def push_url(url: str) -> str:
    """Where events are posted to, for a registered URL."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + PUSH_SUFFIX, fragment=""))


def _roles(body: EndpointInput) -> Roles | None:
    if body.endpoint_types is None:
        return None
    said = body.endpoint_types.event
    destination = None
    if said.destination.enabled and said.destination.destination_type is DestinationType.PULL:
        destination = Destination(type=EndpointType.FILE)
    elif said.destination.enabled:
        url = said.destination.url or body.url
        if url is None:
            problem = Problem(path="$.endpointTypes.event.destination.url", message="is required to push events")
            raise InvalidRequest("The endpoint cannot be registered.", [problem])
        destination = Destination(type=EndpointType.WEB_HOOK, url=push_url(url), registered_url=url)
    return Roles(source=said.source.enabled, destination=destination)


def _identifiers(databases: DatabasesModel | None) -> tuple[str, ...] | None:
    if databases is None:
        return None
    names = (identifier.name for database in databases.marketing_databases for identifier in database.identifiers)
    return tuple(dict.fromkeys(names))


def _answer(made: Registered) -> NewEndpointOutput | EndpointOutput:
    output = EndpointOutput.of(made.client, made.destination)
    if made.key is None:
        return output
    return NewEndpointOutput(**output.model_dump(), authentication_key=made.key)
