"""Who calls the Envoy API, what its scopes let it join, and how its errors look: ``{"error": {…}}``, never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from fastapi import Depends, Security
from fastapi.security import HTTPBearer

from ingest_api import problems
from ingest_api.control.dependencies import Authorization, TheGateway
from ingest_api.wire import Response
from schemas.access import Client, Realm
from schemas.channels import MAX_LENGTH
from schemas.errors import PermissionDenied
from schemas.organisation import channel_name, read_channel

if TYPE_CHECKING:
    from collections.abc import Collection

    from ingest_api.settings import IngestSettings
    from schemas.errors import HeadraceError

NO_STORE = "no-store"
"""``Cache-Control`` of every answer: even those to GET carry tokens, or have changed something."""

MAX_CHANNELS = 128
"""Subscriptions of one connection, the realtime nodes' default; scopes past them subscribe to nothing by themselves."""

_BEARER = HTTPBearer(scheme_name="envoyToken", auto_error=False)
"""Only declares the scheme in the OpenAPI document."""


async def _user(
    gateway: TheGateway, authorization: Authorization, _scheme: Annotated[object, Security(_BEARER)]
) -> Client:
    return await gateway.authenticator.by_bearer_key(authorization, Realm.ENVOY)


EnvoyUser = Annotated[Client, Depends(_user)]
"""A route's parameter: the user of the access token; its workspace is the organisation."""


class Grants(NamedTuple):
    """Namespaces by what a user may see of them: all that happens in the organisation, or what concerns the user."""

    organisation: tuple[str, ...]
    own: tuple[str, ...]

    @classmethod
    def of(cls, user: Client, settings: IngestSettings) -> Grants:
        """What the user's scopes grant."""
        organisation, own = (
            tuple(dict.fromkeys(scope.removesuffix(suffix) for scope in user.scopes if _ends_in(scope, suffix)))
            for suffix in (settings.envoy_scope_suffix, settings.envoy_user_scope_suffix)
        )
        return cls(organisation, own)

    def automatic(self, user: Client) -> list[str]:
        """The channels that the user is subscribed to by connecting: one for each scope."""
        channels = [channel_name(namespace, user.workspace) for namespace in self.organisation]
        channels += [channel_name(namespace, user.workspace, user.id) for namespace in self.own]
        return [each for each in channels if len(each) <= MAX_LENGTH][:MAX_CHANNELS]

    def check(self, user: Client, channel: str, public: Collection[str]) -> None:
        """Let the user join a channel; that of a public namespace is everybody's in the organisation.

        Raises:
            PermissionDenied: it is of another organisation, for other users only, or no scope covers it.
        """
        said = read_channel(channel, user.workspace)
        if said is None:
            raise PermissionDenied(f"{channel} is not a channel of {user.workspace}.")
        if said.users is not None:
            if user.id not in said.users:
                raise PermissionDenied(f"{channel} is for other users only.")
            granted: Collection[str] = (*self.organisation, *self.own)
        else:
            granted = (*self.organisation, *public)
        if said.namespace not in granted:
            raise PermissionDenied(f"No scope of the access token covers {channel}.")


ANY_SCOPE = "*"
"""As ``envoy_manage_scope``: whoever may provision may manage too."""


def check_may_provision(user: Client, settings: IngestSettings) -> None:
    """Let a user provision its organisation.

    Raises:
        PermissionDenied: the installation requires a scope that the user does not have.
    """
    needed = settings.envoy_provision_scope
    if needed and needed not in user.scopes and not _manages(user, settings):
        raise PermissionDenied(f"This needs the scope {needed}.")


def check_may_manage(user: Client, settings: IngestSettings) -> None:
    """Let a user deprovision its organisation, or say which of its channels are public.

    Raises:
        PermissionDenied: the user does not have the scope.
    """
    if settings.envoy_manage_scope == ANY_SCOPE:
        check_may_provision(user, settings)
    elif settings.envoy_provision_scope not in user.scopes and not _manages(user, settings):
        raise PermissionDenied(f"This needs the scope {settings.envoy_manage_scope}.")


def _manages(user: Client, settings: IngestSettings) -> bool:
    return settings.envoy_manage_scope != ANY_SCOPE and settings.envoy_manage_scope in user.scopes


def _ends_in(scope: str, suffix: str) -> bool:
    return scope.endswith(suffix) and len(scope) > len(suffix)


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
