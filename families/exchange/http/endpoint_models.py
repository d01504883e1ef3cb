"""The bodies and answers of ``/v1/endpoint`` and ``/v1/application``, and how they stand in the common model."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from families.exchange.catalog.records import REGISTERED_URL, Definition, Destination, Details, Roles
from ingest_api.management.models import example
from schemas.model.access import Client, Role
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import InvalidRequest, Problem
from schemas.model.urls import is_absolute

PUSH_SUFFIX = "/v1/events"
"""What is added to the path of a push destination's URL."""

Text = Annotated[str, Field(min_length=1, max_length=200)]


def _absolute(url: str) -> str:
    if not is_absolute(url):
        raise PydanticCustomError("url", "must be an absolute http or https URL")
    return url


_LONGEST_URL = 2_000

Url = Annotated[str, Field(max_length=_LONGEST_URL), AfterValidator(_absolute)]


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


class FieldModel(Model):
    """An identifier that events may carry, or an attribute of a person; its type is kept as it is given."""

    name: Text
    type: Annotated[str | None, Field(max_length=200)] = None
    is_required: StrictBool | None = None


class DatabaseModel(Model):
    """A marketing database; events may carry its identifiers."""

    id: str | int | None = None
    name: str | None = None
    identifiers: tuple[FieldModel, ...] = ()
    attributes: tuple[FieldModel, ...] = ()


class DatabasesModel(Model):
    """Where identifiers are registered."""

    marketing_databases: tuple[DatabaseModel, ...] = ()


HashAlgorithm = Annotated[str | None, Field(max_length=100, description="How identifiers are hashed; kept as given.")]


class ApplicationInput(Model):
    """An application to register; its endpoints take over its roles where theirs are not said."""

    model_config = example(providerName="Example", description="An example")

    provider_name: Text
    description: str | None = None
    url: Url | None = None
    endpoint_types: EndpointTypesModel | None = None
    hash_algorithm: HashAlgorithm = None
    marketing_databases_definition: DatabasesModel | None = None

    def definition(self) -> Definition:
        """As the catalog takes it."""
        return _definition(self)


class ApplicationOutput(Model):
    """A registered application; its key is shown once."""

    application_id: str
    provider_name: str
    authentication_key: str | None = None


class ExchangeEndpointInput(Model):
    """An endpoint to register; what is left out stays as it is, and roles are registered together."""

    model_config = example(
        name="Shop",
        providerName="Example",
        endpointTypes={"event": {"source": {"enabled": True}}},
        marketingDatabasesDefinition={"marketingDatabases": [{"name": "DB", "identifiers": [{"name": "email"}]}]},
    )

    name: Text | None = None
    description: str | None = None
    provider_name: Text | None = None
    url: Url | None = None
    endpoint_types: EndpointTypesModel | None = None
    hash_algorithm: HashAlgorithm = None
    marketing_databases_definition: DatabasesModel | None = None

    def definition(self) -> Definition:
        """As the catalog takes it."""
        return _definition(self, self.name)


class DatabasesOutput(Model):
    """Where identifiers are registered, as they were registered."""

    marketing_databases: tuple[dict[str, Any], ...]


class ExchangeEndpointOutput(Model):
    """A registered endpoint."""

    endpoint_id: str
    name: str
    description: str
    provider_name: str | None
    endpoint_types: EndpointTypesModel
    hash_algorithm: str | None
    marketing_databases_definition: DatabasesOutput

    @classmethod
    def of(cls, client: Client, destination: Endpoint | None, details: Details) -> ExchangeEndpointOutput:
        """As the catalog has it."""
        receives = DestinationModel()
        if destination is not None:
            receives = DestinationModel(
                enabled=destination.enabled and Role.SUBSCRIBER in client.roles,
                destination_type=DestinationType.PULL
                if destination.type is EndpointType.FILE
                else DestinationType.PUSH,
                url=_shown_url(destination),
            )
        databases = details.databases
        if databases is None:
            databases = ({"identifiers": [{"name": name} for name in client.identifiers]},)
        return cls(
            endpoint_id=client.id,
            name=client.name,
            description=client.description,
            provider_name=client.provider,
            endpoint_types=EndpointTypesModel(
                event=EventRolesModel(source=SourceModel(enabled=Role.PRODUCER in client.roles), destination=receives)
            ),
            hash_algorithm=details.hash_algorithm,
            marketing_databases_definition=DatabasesOutput(marketing_databases=databases),
        )


class NewExchangeEndpointOutput(ExchangeEndpointOutput):
    """An endpoint that was just registered; its key is shown once."""

    authentication_key: str


def _shown_url(destination: Endpoint) -> str | None:
    """The URL that was registered; our own API takes any text for an option."""
    url = destination.options.get(REGISTERED_URL, "")
    return url if is_absolute(url) and len(url) <= _LONGEST_URL else None


def push_url(url: str) -> str:
    """Where events are posted to, for a registered URL."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + PUSH_SUFFIX, fragment=""))


def _definition(said: ApplicationInput | ExchangeEndpointInput, name: str | None = None) -> Definition:
    return Definition(
        name=name,
        description=said.description,
        provider=said.provider_name,
        identifiers=_identifiers(said.marketing_databases_definition),
        roles=_roles(said.endpoint_types, said.url),
        hash_algorithm=said.hash_algorithm,
        databases=_databases(said.marketing_databases_definition),
    )


def _roles(said: EndpointTypesModel | None, own_url: str | None) -> Roles | None:
    if said is None:
        return None
    asked = said.event.destination
    destination = None
    if asked.enabled and asked.destination_type is DestinationType.PULL:
        destination = Destination(type=EndpointType.FILE)
    elif asked.enabled:
        url = asked.url or own_url
        if url is None:
            problem = Problem(path="$.endpointTypes.event.destination.url", message="is required to push events")
            raise InvalidRequest("The endpoint cannot be registered.", [problem])
        destination = Destination(type=EndpointType.WEB_HOOK, url=push_url(url), registered_url=url)
    return Roles(source=said.event.source.enabled, destination=destination)


def _identifiers(said: DatabasesModel | None) -> tuple[str, ...] | None:
    if said is None:
        return None
    names = (identifier.name for database in said.marketing_databases for identifier in database.identifiers)
    return tuple(dict.fromkeys(names))


def _databases(said: DatabasesModel | None) -> tuple[dict[str, Any], ...] | None:
    """As they were sent, but for members that are not kept."""
    if said is None:
        return None
    return tuple(each.model_dump(mode="json", by_alias=True, exclude_unset=True) for each in said.marketing_databases)
