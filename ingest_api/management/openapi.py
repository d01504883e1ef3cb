"""OpenAPI that several families share: problem documents (RFC 9457), and the header of repeats."""

from __future__ import annotations

from typing import Any

_PROBLEM = {"$ref": "#/components/schemas/Problem"}


def problem(description: str) -> dict[str, Any]:
    """An OpenAPI response with a problem document."""
    return {"description": description, "content": {"application/problem+json": {"schema": _PROBLEM}}}


ERRORS: dict[int | str, dict[str, Any]] = {
    400: problem("Something in the request is wrong; `errors` names every place."),
    401: problem("The API key is missing, unknown, revoked or expired."),
    403: problem("The client may not do this."),
    503: problem(
        "Kafka does not answer in time, and the events may still be written. Repeat the request after `Retry-After` "
        "seconds with the same `Idempotency-Key` or event ids: they are then written once."
    ),
}

OVER_QUOTA = (
    "A quota of the client or workspace is used up; nothing was published. Repeat it after `Retry-After` seconds."
)
"""Of a 429 to a request that publishes."""

IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
"""The header as a parameter of a route that publishes."""
