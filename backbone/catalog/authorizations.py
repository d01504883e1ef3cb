"""The credentials that an endpoint's requests carry: checked when they come in, sealed in the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas.errors import Problem
from schemas.execution import is_credential
from schemas.subscription import AuthorizationType, NameValue
from schemas.urls import is_absolute

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.secrets import SecretBox
    from schemas.subscription import Authorization, RequestTemplate

_NEEDED: dict[AuthorizationType, tuple[str, ...]] = {
    AuthorizationType.API_KEY: ("secret",),
    AuthorizationType.BASIC: ("user", "secret"),
    AuthorizationType.CLIENT_CREDENTIALS: ("user", "secret", "token_url"),
    AuthorizationType.REFRESH_TOKEN: ("refresh_token", "token_url"),
}


def sealed(authorization: Authorization, secrets: SecretBox) -> Authorization:
    """As the catalog keeps it, from one whose secrets are plain."""
    return _each_secret(authorization, secrets.seal)


def opened(authorization: Authorization, secrets: SecretBox) -> Authorization:
    """With plain secrets, from one that the catalog keeps.

    Raises:
        Misconfigured: none of the installation's secret keys sealed it.
    """
    return _each_secret(authorization, secrets.open)


def resealed(authorization: Authorization, secrets: SecretBox) -> Authorization:
    """With its secrets sealed by the first secret key; the same where they are already.

    Raises:
        Misconfigured: none of the installation's secret keys sealed it.
    """
    return _each_secret(authorization, secrets.resealed)


def problems(authorization: Authorization, path: str = "$.authorization") -> list[Problem]:
    """What is wrong with one whose secrets are plain."""
    found = [
        Problem(path=f"{path}.{name}", message=f"is required for {authorization.type.value}")
        for name in _NEEDED[authorization.type]
        if not getattr(authorization, name)
    ]
    secret, user = authorization.secret or "", authorization.user or ""
    if authorization.type is AuthorizationType.API_KEY and not (secret.isascii() and secret.isprintable()):
        found.append(Problem(path=f"{path}.secret", message="must be printable ASCII to go into a header"))
    if authorization.type is AuthorizationType.BASIC and ":" in user:
        found.append(Problem(path=f"{path}.user", message="must not contain a colon (RFC 7617)"))
    if authorization.token_url and not is_absolute(authorization.token_url):
        found.append(Problem(path=f"{path}.token_url", message="must be an absolute http or https URL"))
    return found


def sealed_template(template: RequestTemplate, secrets: SecretBox) -> RequestTemplate:
    """As the catalog keeps it: headers and query parameters that are credentials by their name, and no variables."""

    def seal(each: NameValue) -> NameValue:
        if each.sealed or not each.value or "${." in each.value or not is_credential(each.name):
            return each
        return NameValue(name=each.name, value=secrets.seal(each.value), sealed=True)

    return _each_member(template, seal)


def opened_template(template: RequestTemplate, secrets: SecretBox) -> RequestTemplate:
    """With plain values, from one that the catalog keeps.

    Raises:
        Misconfigured: none of the installation's secret keys sealed them.
    """

    def opened(each: NameValue) -> NameValue:
        return NameValue(name=each.name, value=secrets.open(each.value)) if each.sealed else each

    return _each_member(template, opened)


def resealed_template(template: RequestTemplate, secrets: SecretBox) -> RequestTemplate:
    """With its credentials sealed by the first secret key; the same where they are already.

    Raises:
        Misconfigured: none of the installation's secret keys sealed them.
    """

    def reseal(each: NameValue) -> NameValue:
        return msgspec.structs.replace(each, value=secrets.resealed(each.value)) if each.sealed else each

    return sealed_template(_each_member(template, reseal), secrets)


def _each_member(template: RequestTemplate, change: Callable[[NameValue], NameValue]) -> RequestTemplate:
    headers, query = (tuple(map(change, members)) for members in (template.headers, template.query))
    return msgspec.structs.replace(template, headers=headers, query=query)


def _each_secret(authorization: Authorization, change: Callable[[str], str]) -> Authorization:
    return msgspec.structs.replace(
        authorization,
        secret=None if authorization.secret is None else change(authorization.secret),
        refresh_token=None if authorization.refresh_token is None else change(authorization.refresh_token),
    )
