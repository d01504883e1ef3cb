"""What bodies and answers of our own API are made of. Times are RFC 3339 texts; a secret is shown once."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from schemas import timestamps
from schemas.attributes import LONGEST_NAME


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


class Input(BaseModel):
    """A request body: a member that it does not know is an error, not a silent loss."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def given(self) -> dict[str, Any]:
        """The members that the caller sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Change(Input):
    """A body of which only the members sent change anything: what is left out has no default.

    A client that is generated from the OpenAPI document would send a default that it finds there, and so change what
    its caller never spoke of.
    """

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema without the defaults of its members."""
        schema = handler(core_schema)
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
