"""The Schema Registry reads that stock (de)serializers, Kafka Connect and kcat need, in the Confluent API's shapes.

Schemas come into being with event types, so the registry is read-only to its clients and says so (mode ``READONLY``).
A serializer that registers a schema which is already there gets its id, as it would anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from backbone.catalog.indexes import RegisteredSchema
from families.schema_registry.http import comparisons
from families.schema_registry.http import messages as answers
from families.schema_registry.http.access import TheRegistry, registry_of
from families.schema_registry.http.messages import MEDIA_TYPE, RegistryError, declared
from families.schema_registry.http.parameters import SchemaId, ThePart
from schemas.model.errors import IncompatibleSchema, InvalidRequest, PayloadTooLarge
from schemas.model.event_type import Compatibility
from schemas.security.budget import ANSWER_CHARACTERS

_LATEST = frozenset({"latest", "-1"})
_NUMBER = re.compile(r"[1-9]\d{0,9}", re.ASCII)
_END_OF_VERSIONS = 2**31
_GLOBAL_LEVEL = Compatibility.BACKWARD
"""What an event type has unless it asks for another."""
_MODE = "READONLY"


class SchemaBody(msgspec.Struct):
    """A schema as clients send it; members that are not known are passed over, and null is unset."""

    schema: str
    schemaType: str | None = None  # noqa: N815 -- the API's name
    references: list[Any] | None = None


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["schema"],
                    "properties": {
                        "schema": {"type": "string", "description": "An Avro schema, as JSON text."},
                        "schemaType": {"type": "string", "enum": ["AVRO"], "default": "AVRO"},
                    },
                },
                "example": {"schema": '"string"'},
            }
        },
    },
}
"""OpenAPI of a schema in the body, which is read whatever its content type."""


router = APIRouter(
    prefix="/schema-registry",
    tags=["schema registry"],
    responses={
        400: declared("The request cannot be read."),
        401: declared("The registry is not open, and there is no API key that it knows."),
        403: declared("The client has no role."),
        404: declared("There is no such subject, version or schema."),
        409: declared("The schema is not compatible with the subject's."),
        413: declared("The body is too large."),
        422: declared(
            "A schema, version or parameter is not valid; or a schema that is not there cannot be registered."
        ),
        503: declared("Kafka cannot be reached; try again after `Retry-After` seconds."),
    },
    route_class=answers.RegistryRoute,
    default_response_class=answers.RegistryResponse,
    dependencies=[Depends(registry_of)],
)


async def schema_body(request: Request) -> SchemaBody:
    """The schema in the body; the content type is not looked at, as clients differ.

    Raises:
        RegistryError: there is no Avro schema in it.
    """
    try:
        body = msgspec.json.decode(await request.body(), type=SchemaBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RegistryError(answers.INVALID_SCHEMA, f"Invalid schema: {error}") from error
    if (body.schemaType or "AVRO").upper() != "AVRO":
        raise RegistryError(answers.INVALID_SCHEMA, f"Invalid schema type {body.schemaType}: only AVRO is served here")
    if body.references:
        raise RegistryError(
            answers.INVALID_SCHEMA, "Invalid schema: no schema here refers to another; send no references"
        )
    await comparisons.canonical(body.schema)
    return body


TheSchema = Annotated[SchemaBody, Depends(schema_body)]


@router.get("", include_in_schema=False)
@router.get("/")
async def root() -> dict[str, str]:
    """Nothing: clients ask for it to see whether the registry is there."""
    return {}


@router.post("", include_in_schema=False)
async def posted_root() -> dict[str, str]:
    """Nothing, as for a read."""
    return {}


@router.get("/v1/metadata/id", include_in_schema=False)
async def metadata_id() -> dict[str, Any]:
    """Confluent's platform ids: there is none here."""
    return {"scope": {"path": [], "clusters": {}}, "id": ""}


@router.get("/v1/metadata/version", include_in_schema=False)
async def metadata_version() -> dict[str, str]:
    """The version of the API that is served."""
    return {"version": "7.0.0", "commitId": ""}


@router.get("/contexts")
async def contexts(part: ThePart, contextPrefix: str = "") -> list[str]:  # noqa: N803 -- the API's name
    """There is one context, the default."""
    return part.of([name for name in (".",) if name.startswith(contextPrefix)])


@router.get("/mode")
async def mode() -> dict[str, str]:
    """Schemas come from event types only."""
    return {"mode": _MODE}


@router.get("/mode/{subject}")
async def subject_mode(subject: str) -> dict[str, str]:  # noqa: ARG001 -- every subject's is the same
    """The mode of a subject: that of all."""
    return {"mode": _MODE}


@router.get("/schemas/types")
async def schema_types() -> list[str]:
    """The formats of schemas."""
    return ["AVRO"]


@router.get("/schemas")
async def schemas(
    registry: TheRegistry,
    part: ThePart,
    subjectPrefix: str = "",  # noqa: N803 -- the API's name
    latestOnly: bool = False,  # noqa: FBT001, FBT002, N803 -- a query parameter under the API's name
) -> list[dict[str, Any]]:
    """All versions of all subjects, or of those with a prefix."""
    view = await registry.view()
    found = [view.subject_versions(name) for name in view.subjects() if name.startswith(subjectPrefix)]
    wanted = part.of([one for all_of in found for one in all_of[-1 if latestOnly else 0 :]])
    if sum(len(each.text) for each in wanted) > ANSWER_CHARACTERS:
        raise PayloadTooLarge(f"The schemas have more than {ANSWER_CHARACTERS:,} characters: use offset and limit")
    return [_described(each) for each in wanted]


@router.get("/schemas/ids/{schema_id}")
async def schema_by_id(
    registry: TheRegistry,
    schema_id: SchemaId,
    fetchMaxId: bool = False,  # noqa: FBT001, FBT002, N803 -- a query parameter under the API's name
    includeSubjects: bool = False,  # noqa: FBT001, FBT002, N803 -- as Karapace has it
) -> dict[str, Any]:
    """What a deserializer asks for. An id names one text in all subjects, so ``subject`` makes no difference."""
    schemas = await _by_id(registry, schema_id)
    found: dict[str, Any] = {"schema": schemas[0].text}
    if includeSubjects:
        found["subjects"] = list(dict.fromkeys(each.subject for each in schemas))
    return found | ({"maxId": (await registry.view()).last_schema_id()} if fetchMaxId else {})


@router.get("/schemas/ids/{schema_id}/schema")
async def schema_text_by_id(registry: TheRegistry, schema_id: SchemaId) -> Response:
    """The schema alone."""
    return Response((await _by_id(registry, schema_id))[0].text, media_type=MEDIA_TYPE)


@router.get("/schemas/ids/{schema_id}/versions")
async def versions_of_schema(
    registry: TheRegistry, schema_id: SchemaId, part: ThePart, subject: str | None = None
) -> list[dict[str, Any]]:
    """The subjects and versions that have this schema."""
    found = [each for each in await _by_id(registry, schema_id) if subject in (None, "", each.subject)]
    return part.of([{"subject": each.subject, "version": each.version} for each in found])


@router.get("/schemas/ids/{schema_id}/subjects")
async def subjects_of_schema(
    registry: TheRegistry, schema_id: SchemaId, part: ThePart, subject: str | None = None
) -> list[str]:
    """The subjects that have this schema."""
    found = [each for each in await _by_id(registry, schema_id) if subject in (None, "", each.subject)]
    return part.of(list(dict.fromkeys(each.subject for each in found)))


@router.get("/subjects")
async def subjects(
    registry: TheRegistry,
    part: ThePart,
    subjectPrefix: str = "",  # noqa: N803 -- the API's name
    deletedOnly: bool = False,  # noqa: FBT001, FBT002, N803 -- a query parameter under the API's name
) -> list[str]:
    """All subjects, or those with a prefix. Deleted ones are not kept."""
    prefix = subjectPrefix.removeprefix(":*:")  # Confluent's "in every context"
    found = () if deletedOnly else (await registry.view()).subjects()
    return part.of([name for name in found if name.startswith(prefix)])


@router.post("/subjects/{subject}", openapi_extra=_BODY)
async def look_up(registry: TheRegistry, subject: str, body: TheSchema) -> dict[str, Any]:
    """The version of a subject that has the schema in the body."""
    return _described(await comparisons.same(await _versions(registry, subject), body.schema))


@router.get("/subjects/{subject}/versions")
async def versions(
    registry: TheRegistry,
    subject: str,
    part: ThePart,
    deletedOnly: bool = False,  # noqa: FBT001, FBT002, N803 -- a query parameter under the API's name
) -> list[int]:
    """The version numbers of a subject. Deleted ones are not kept."""
    found = await _versions(registry, subject)
    return [] if deletedOnly else part.of([each.version for each in found])


@router.post("/subjects/{subject}/versions", openapi_extra=_BODY)
async def register(registry: TheRegistry, subject: str, body: TheSchema) -> dict[str, int]:
    """The id of a schema that is registered already; a new one is refused."""
    try:
        return {"id": (await comparisons.same(await _versions(registry, subject), body.schema)).id}
    except RegistryError as error:
        message = f"Subject {subject} is read-only: register the event type instead, and its schema comes with it"
        raise RegistryError(answers.NOT_PERMITTED, message) from error


@router.get("/subjects/{subject}/versions/{version}")
async def version_of_subject(registry: TheRegistry, subject: str, version: str) -> dict[str, Any]:
    """One version of a subject, by number or ``latest``."""
    return _described(await _version(registry, subject, version))


@router.get("/subjects/{subject}/versions/{version}/schema")
async def schema_text_of_version(registry: TheRegistry, subject: str, version: str) -> Response:
    """The schema of one version alone."""
    return Response((await _version(registry, subject, version)).text, media_type=MEDIA_TYPE)


@router.get("/subjects/{subject}/versions/{version}/referencedby")
async def referenced_by(registry: TheRegistry, subject: str, version: str) -> list[int]:
    """No schema here refers to another."""
    await _version(registry, subject, version)
    return []


@router.get("/config")
async def global_config() -> dict[str, str]:
    """The level of event types that do not choose one."""
    return {"compatibilityLevel": _GLOBAL_LEVEL}


@router.get("/config/{subject}")
async def subject_config(
    registry: TheRegistry,
    subject: str,
    defaultToGlobal: bool = False,  # noqa: FBT001, FBT002, N803 -- a query parameter under the API's name
) -> dict[str, str]:
    """The compatibility level of a subject: its event type's."""
    level = await _level(registry, subject)
    if level is None and not defaultToGlobal:
        message = f"Subject '{subject}' does not have subject-level compatibility configured"
        raise RegistryError(answers.LEVEL_NOT_FOUND, message)
    return {"compatibilityLevel": level or _GLOBAL_LEVEL}


@router.post("/compatibility/subjects/{subject}/versions", openapi_extra=_BODY)
async def could_follow_all(
    registry: TheRegistry,
    subject: str,
    body: TheSchema,
    verbose: bool = False,  # noqa: FBT001, FBT002 -- a query parameter
) -> dict[str, Any]:
    """Whether the schema in the body could follow all versions of the subject."""
    return await _compatible(registry, subject, body, await _versions(registry, subject), verbose=verbose)


@router.post("/compatibility/subjects/{subject}/versions/{version}", openapi_extra=_BODY)
async def could_follow(
    registry: TheRegistry,
    subject: str,
    version: str,
    body: TheSchema,
    verbose: bool = False,  # noqa: FBT001, FBT002 -- a query parameter
) -> dict[str, Any]:
    """Whether the schema in the body could follow one version of the subject."""
    return await _compatible(registry, subject, body, [await _version(registry, subject, version)], verbose=verbose)


@router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def not_served(path: str, request: Request) -> None:
    """Everything else: writes are not permitted, other reads are not there."""
    if request.method in ("PUT", "PATCH", "DELETE"):
        raise RegistryError(answers.NOT_PERMITTED, f"{request.method} /{path}: this registry is in mode {_MODE}")
    raise RegistryError(404, f"HTTP 404 Not Found: /{path}")


async def _by_id(registry: TheRegistry, schema_id: int) -> tuple[RegisteredSchema, ...]:
    found = await registry.lookup(lambda view: view.schema_versions(schema_id) or None)
    if found is None:
        raise RegistryError(answers.SCHEMA_NOT_FOUND, f"Schema {schema_id} not found")
    return found


async def _versions(registry: TheRegistry, subject: str) -> tuple[RegisteredSchema, ...]:
    """A subject's versions, with those that another worker has answered for a moment ago."""
    found = (await registry.view()).subject_versions(subject)
    if not found:
        raise RegistryError(answers.SUBJECT_NOT_FOUND, f"Subject '{subject}' not found.")
    return found


async def _version(registry: TheRegistry, subject: str, version: str) -> RegisteredSchema:
    if version not in _LATEST and (_NUMBER.fullmatch(version) is None or int(version) >= _END_OF_VERSIONS):
        message = f"The specified version '{version}' is not a valid version id: use a positive number or 'latest'"
        raise RegistryError(answers.INVALID_VERSION, message)
    found = await _versions(registry, subject)
    if version in _LATEST:
        return found[-1]
    for each in found:
        if each.version == int(version):
            return each
    raise RegistryError(answers.VERSION_NOT_FOUND, f"Version {version} not found.")


async def _compatible(
    registry: TheRegistry, subject: str, body: SchemaBody, earlier: Sequence[RegisteredSchema], *, verbose: bool
) -> dict[str, Any]:
    messages = []
    try:
        level = await _level(registry, subject) or _GLOBAL_LEVEL
        await comparisons.check(body.schema, [each.text for each in earlier], level)
    except IncompatibleSchema as error:
        messages = [f"{problem.path}: {problem.message}" for problem in error.problems]
    except (InvalidRequest, RecursionError) as error:
        raise RegistryError(answers.INVALID_SCHEMA, f"Invalid schema: {error}") from error
    return {"is_compatible": not messages} | ({"messages": messages} if verbose else {})


async def _level(registry: TheRegistry, subject: str) -> Compatibility | None:
    topic = subject.removesuffix("-value")
    kind = await registry.lookup(lambda view: view.event_type(topic))
    return None if kind is None else kind.compatibility


def _described(schema: RegisteredSchema) -> dict[str, Any]:
    return {"subject": schema.subject, "version": schema.version, "id": schema.id, "schema": schema.text}
