"""Who calls the Envoy API, what its scopes let it change, and how its errors look: ``{"error": {…}}``, never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import Depends, Security
from fastapi.security import HTTPBearer

from families.envoy.model import REALM
from ingest_api import problems
from ingest_api.http import Response
from ingest_api.management.dependencies import Authorization, TheGateway
from schemas.model.access import Client
from schemas.model.errors import PermissionDenied

if TYPE_CHECKING:
    from families.envoy.settings import EnvoySettings
    from schemas.model.errors import HeadraceError

NO_STORE = "no-store"
"""``Cache-Control`` of every answer: even those to GET carry tokens, or have changed something."""

_BEARER = HTTPBearer(scheme_name="envoyToken", auto_error=False)
"""Only declares the scheme in the OpenAPI document."""


async def _user(
    gateway: TheGateway, authorization: Authorization, _scheme: Annotated[object, Security(_BEARER)]
) -> Client:
    return await gateway.authenticator.by_bearer_key(authorization, REALM)


EnvoyUser = Annotated[Client, Depends(_user)]
"""A route's parameter: the user of the access token; its workspace is the organisation."""


ANY_SCOPE = "*"
"""As ``manage_scope``: whoever may provision may manage too."""


def check_may_provision(user: Client, settings: EnvoySettings) -> None:
    """Let a user provision its organisation.

    Raises:
        PermissionDenied: the installation requires a scope that the user does not have.
    """
    needed = settings.provision_scope
    if needed and needed not in user.scopes and not _manages(user, settings):
        raise PermissionDenied(f"This needs the scope {needed}.")


def check_may_manage(user: Client, settings: EnvoySettings) -> None:
    """Let a user deprovision its organisation, or say which of its channels are public.

    Raises:
        PermissionDenied: the user does not have the scope.
    """
    if settings.manage_scope == ANY_SCOPE:
        check_may_provision(user, settings)
    elif (settings.provision_scope or None) not in user.scopes and not _manages(user, settings):
        raise PermissionDenied(f"This needs the scope {settings.manage_scope}.")


def _manages(user: Client, settings: EnvoySettings) -> bool:
    return settings.manage_scope != ANY_SCOPE and settings.manage_scope in user.scopes


class _Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """``status`` is the HTTP status; ``errors`` names the places of the request that are wrong."""

    status: int
    message: str
    errors: tuple[dict[str, str], ...] = ()


class _Error(msgspec.Struct, frozen=True):
    error: _Problem


def render(error: HeadraceError) -> Response:
    """An error as JSON; the document shows none."""
    about = problems.document(error)
    places = tuple({"path": one.path, "message": one.message} for one in problems.problems_of(error))
    content = _Error(_Problem(about["status"], about["detail"], places))
    headers = (*problems.headers_of(error), (b"cache-control", NO_STORE.encode()))
    return Response(about["status"], msgspec.json.encode(content), headers=headers)


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _SCHEMA}}}


_PLACE = {"type": "object", "properties": {"path": {"type": "string"}, "message": {"type": "string"}}}
_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["status", "message"],
            "properties": {
                "status": {"type": "integer"},
                "message": {"type": "string"},
                "errors": {"type": "array", "items": _PLACE},
            },
        }
    },
}

ERRORS: dict[int | str, dict[str, Any]] = {
    400: _error("The body or a parameter is not what it should be; `errors` names the places."),
    401: _error("The access token is missing, unknown or expired."),
    403: _error("The access token does not allow it, or the organisation is not provisioned."),
    413: _error("The body is too large."),
    503: _error("Kafka cannot take it now; try again after `Retry-After` seconds."),
}
