"""``PUT /v1/eventtype/attributes/publisher|subscriber/{id}``: the attributes of an endpoint's event types, replaced.

The id is the endpoint's. The document's path names no event type, so the list goes to all that the endpoint publishes
(or receives); ``code`` narrows that, as parameter or beside ``attributes`` in an object. Its example call uses POST:
that is answered too.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from families.exchange.http.access import KeyHolder, endpoint_of
from families.exchange.http.event_types import (
    EVENT_TYPES,
    ExchangeAttributeModel,
    ExchangeEventTypeOutput,
    Text,
    event_types_answer,
    listed,
)
from families.exchange.http.openapi import ERRORS, NOT_FOUND, WITH_BODY
from families.exchange.http.services import event_types_of
from ingest_api.management.dependencies import TheGateway
from ingest_api.management.many_problems import told_errors
from schemas.model.access import Role
from schemas.model.errors import InvalidRequest, MalformedBody, Problem
from schemas.model.event_type import RegistrationKind

ATTRIBUTES = EVENT_TYPES + "/attributes"

router = APIRouter(tags=["Exchange event types"], responses={**ERRORS, **NOT_FOUND, **WITH_BODY})

_KINDS = {RegistrationKind.PUBLISH: Role.PRODUCER, RegistrationKind.SUBSCRIBE: Role.SUBSCRIBER}


class AttributesInput(BaseModel):
    """The attributes of one code."""

    model_config = ConfigDict(frozen=True)

    code: Text | None = None
    namespace: Text | None = None
    attributes: tuple[ExchangeAttributeModel, ...]


_LIST = TypeAdapter(tuple[ExchangeAttributeModel, ...])


async def _body(
    request: Request,
    code: Annotated[str | None, Query(description="Only of this code.", min_length=1, max_length=255)] = None,
    namespace: Annotated[str | None, Query(description="Only of this namespace.", min_length=1, max_length=255)] = None,
) -> AttributesInput:
    try:
        content = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise MalformedBody("The body is not JSON.") from error
    try:
        if isinstance(content, list):
            return AttributesInput(attributes=_LIST.validate_python(content), code=code, namespace=namespace)
        said = AttributesInput.model_validate(content)
        return said.model_copy(update={"code": said.code or code, "namespace": said.namespace or namespace})
    except ValidationError as error:
        model: Any = tuple[ExchangeAttributeModel, ...] if isinstance(content, list) else AttributesInput
        raise RequestValidationError(told_errors(error, model, content)) from error


Attributes = Annotated[AttributesInput, Depends(_body)]

_ATTRIBUTE = {
    "type": "object",
    "required": ["name", "type"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 255},
        "type": {"type": "string", "description": "String, Number, Boolean or Time."},
    },
}
_LISTED = {"type": "array", "items": _ATTRIBUTE}
_ONE_CODE = {
    "type": "object",
    "required": ["attributes"],
    "properties": {"code": {"type": "string"}, "namespace": {"type": "string"}, "attributes": _LISTED},
}
_OPENAPI: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"anyOf": [_LISTED, _ONE_CODE]}}},
    },
}


@router.put(
    ATTRIBUTES + "/publisher/{endpoint_id}",
    summary="Replace the attributes of what an endpoint publishes",
    openapi_extra=_OPENAPI,
    response_model=list[ExchangeEventTypeOutput],
)
@router.post(ATTRIBUTES + "/publisher/{endpoint_id}", include_in_schema=False)
async def replace_of_publisher(gateway: TheGateway, caller: KeyHolder, endpoint_id: str, body: Attributes) -> Response:
    """The event types as they are now. Events that carry an attribute which is no longer listed are refused."""
    return await _replace(gateway, caller, endpoint_id, RegistrationKind.PUBLISH, body)


@router.put(
    ATTRIBUTES + "/subscriber/{endpoint_id}",
    summary="Replace the attributes of what an endpoint receives",
    openapi_extra=_OPENAPI,
    response_model=list[ExchangeEventTypeOutput],
)
@router.post(ATTRIBUTES + "/subscriber/{endpoint_id}", include_in_schema=False)
async def replace_of_subscriber(gateway: TheGateway, caller: KeyHolder, endpoint_id: str, body: Attributes) -> Response:
    """The event types as they are now. What is pushed stays what the publisher sends."""
    return await _replace(gateway, caller, endpoint_id, RegistrationKind.SUBSCRIBE, body)


async def _replace(
    gateway: TheGateway, caller: KeyHolder, endpoint_id: str, kind: RegistrationKind, body: AttributesInput
) -> Response:
    endpoint = await endpoint_of(gateway, caller, endpoint_id)
    if _KINDS[kind] not in endpoint.roles:
        what = "a source" if kind is RegistrationKind.PUBLISH else "a destination"
        problem = Problem(path="id", message=f"is not an endpoint that is registered as {what} of events")
        raise InvalidRequest("The attributes cannot be replaced.", [problem])
    changing = event_types_of(gateway).replace_attributes(
        endpoint, kind, listed(body.attributes), code=body.code, namespace=body.namespace
    )
    return await event_types_answer(gateway, await gateway.in_time(changing))
