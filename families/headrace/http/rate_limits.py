"""The rate limit of an endpoint, as our own API takes and shows it."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ingest_api.management.models import Input, example
from schemas.model.endpoint import RateLimit


class RateLimitInput(Input):
    """Most requests to an endpoint: never more than `per_second` * t + `burst` in any t seconds, every try included."""

    model_config = example(per_second=5, burst=10)

    per_second: Annotated[float, Field(ge=0.001, le=100_000)]
    burst: Annotated[
        int | None,
        Field(ge=1, le=100_000, description="Most requests at once. By default those of one second, at least one."),
    ] = None


class RateLimitOutput(BaseModel):
    """Most requests to an endpoint."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    per_second: float
    burst: int


def stored_limit(per_second: float, burst: int | None = None) -> RateLimit:
    """The limit as the catalog keeps it."""
    return RateLimit(per_second=per_second, burst=math.ceil(per_second) if burst is None else burst)
