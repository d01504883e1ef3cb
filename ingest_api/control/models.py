"""What bodies and answers of our own API are made of. Times are RFC 3339 texts; a secret is shown once."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas import timestamps


def _time_text(value: object) -> object:
    return timestamps.to_text(value) if isinstance(value, int) else value


Time = Annotated[str, BeforeValidator(_time_text)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Input(BaseModel):
    """A request body: a member that it does not know is an error, not a silent loss."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def given(self) -> dict[str, Any]:
        """The members that the caller sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def example(**members: Any) -> ConfigDict:
    """The configuration of a body that shows one in the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [members]})


class Output(BaseModel):
    """An answer, made from a catalog resource."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    created_at: Time
    updated_at: Time
