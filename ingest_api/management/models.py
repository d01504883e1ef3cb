"""What bodies and answers of our own API are made of. Times are RFC 3339 texts; a secret is shown once."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from schemas.avro.attributes import LONGEST_NAME
from schemas.model import timestamps


def _time_text(value: object) -> object:
    return timestamps.to_text(value) if isinstance(value, int) else value


def _instant(value: object) -> int:
    """Microseconds since the epoch. A form decoder has made a space of the plus sign of an offset."""
    return timestamps.parse(_SPACED_OFFSET.sub("+", str(value)))


_SPACED_OFFSET = re.compile(r" (?=\d\d:?\d\d\Z)", re.ASCII)

Time = Annotated[str, BeforeValidator(_time_text)]
Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A query parameter: an RFC 3339 time, as microseconds since the epoch."""
Name = Annotated[str, Field(min_length=1, max_length=200)]
TypeName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
"""A namespace, a code or an attribute's name: as long as any family may make it."""


def _no_other_type(value: object) -> object:
    if isinstance(value, bool | str):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


def _strict(schema: Any) -> Any:
    """A schema whose booleans and numbers are taken from no other type; 5.0 is an integer still.

    The ``strict`` of pydantic, for a whole model, would refuse arrays and the names of enumerations, too.
    """
    if isinstance(schema, list | tuple):
        return type(schema)(_strict(each) for each in schema)
    if not isinstance(schema, dict):
        return schema
    found: Any = {name: each if name == "metadata" else _strict(each) for name, each in schema.items()}
    match schema.get("type"):
        case "bool" | "float":
            return found | {"strict": True}
        case "int":
            return core_schema.no_info_before_validator_function(_no_other_type, found)
    return found


class Input(BaseModel):
    """A request body: a member that it does not know is an error, not a silent loss.

    Booleans and numbers are those of JSON: neither ``"yes"`` nor 1 is true, and ``"5"`` is no number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema, with members as strict as JSON is."""
        strict: CoreSchema = _strict(handler(source))
        return strict

    def given(self) -> dict[str, Any]:
        """The members that the caller sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Change(Input):
    """A body of which only the members sent change anything: what is left out has no default.

    A client that is generated from the OpenAPI document would send a default that it finds there, and so change what
    its caller never spoke of.
    """

    @classmethod
    def __get_pydantic_json_schema__(cls, schema_of: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema without the defaults of its members."""
        schema = handler(schema_of)
        for member in handler.resolve_ref_schema(schema)["properties"].values():
            member.pop("default", None)
        return schema


def example(**members: Any) -> ConfigDict:
    """The configuration of a body that shows one in the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [members]})


class Output(BaseModel):
    """An answer, made from a catalog resource.

    Its members have types and no limits: what any family has put into the catalog must be shown.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)

    created_at: Time
    updated_at: Time
