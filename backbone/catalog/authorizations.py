"""The credentials that an endpoint's requests carry: checked when they come in, sealed in the catalog."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from schemas.errors import Problem
from schemas.secrecy import hides, is_credential, looks_secret
from schemas.subscription import HIDDEN, AuthorizationType, NameValue
from schemas.urls import is_absolute, server_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backbone.catalog.secrets import SecretBox
    from schemas.destinations import Destinations
    from schemas.subscription import Authorization, Endpoint, RequestTemplate

_SECRET_HEADER = re.compile(r"authorization|cookie|secret|token|key|password", re.IGNORECASE)

_NEEDED: dict[AuthorizationType, tuple[str, ...]] = {
    AuthorizationType.API_KEY: ("secret",),
    AuthorizationType.BASIC: ("user", "secret"),
    AuthorizationType.CLIENT_CREDENTIALS: ("user", "secret", "token_url"),
    AuthorizationType.REFRESH_TOKEN: ("refresh_token", "token_url"),
}


_TAKEN: dict[AuthorizationType, tuple[str, ...]] = _NEEDED | {
    AuthorizationType.REFRESH_TOKEN: ("user", "secret", "refresh_token", "token_url"),
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


def problems(authorization: Authorization, destinations: Destinations, path: str = "$.authorization") -> list[Problem]:
    """What is wrong with one whose secrets are plain."""
    found = [
        Problem(path=f"{path}.{name}", message=f"is required for {authorization.type.value}")
        for name in _NEEDED[authorization.type]
        if not getattr(authorization, name)
    ]
    found += [
        Problem(path=f"{path}.{name}", message=f"does not belong to {authorization.type.value}: leave it out")
        for name in ("user", "secret", "refresh_token", "token_url")
        if name not in _TAKEN[authorization.type] and getattr(authorization, name)
    ]
    secret, user = authorization.secret or "", authorization.user or ""
    if authorization.type is AuthorizationType.API_KEY and not (secret.isascii() and secret.isprintable()):
        found.append(Problem(path=f"{path}.secret", message="must be printable ASCII to go into a header"))
    if authorization.type is AuthorizationType.BASIC and ":" in user:
        found.append(Problem(path=f"{path}.user", message="must not contain a colon (RFC 7617)"))
    if authorization.token_url:
        found += url_problems(authorization.token_url, destinations, f"{path}.token_url")
    return found


def url_problems(url: str | None, destinations: Destinations, path: str) -> list[Problem]:
    """What is wrong with a URL that something shall be sent to: it is none, or its address is not allowed."""
    if url is None or not is_absolute(url):
        return [Problem(path=path, message="must be an absolute http or https URL")]
    refusal = destinations.refusal(url)
    return [] if refusal is None else [Problem(path=path, message=refusal)]


def sent_elsewhere(before: Endpoint, wanted: Endpoint) -> list[Problem]:
    """Which credentials of a changed endpoint would go to another server than they were given for.

    They are write-only: whoever may change the URL must not have them sent to a server of his own.
    """
    if wanted.url is None or (before.url is not None and server_of(before.url) == server_of(wanted.url)):
        return []
    message = "was given for another server: give it again, or leave it out"
    stored = set(before.sealed_headers.values())
    kept = [name for name, token in wanted.sealed_headers.items() if token in stored]
    found = [Problem(path="$.headers", message=f"{name} {message}") for name in kept]
    if wanted.authorization is not None and wanted.authorization == before.authorization:
        found.append(Problem(path="$.authorization", message=message))
    return found


def is_secret_header(name: str, value: str = "") -> bool:
    """Whether an endpoint's header is a credential, by its name or its looks: rather one too many."""
    return _SECRET_HEADER.search(name) is not None or is_credential(name) or looks_secret(name, value)


def with_headers(endpoint: Endpoint, headers: Mapping[str, str], secrets: SecretBox) -> Endpoint:
    """An endpoint with these headers in the place of its own, credentials sealed; one of ``HIDDEN`` stays as it is."""
    kept = {name.lower(): token for name, token in endpoint.sealed_headers.items()}
    before = {name.lower(): value for name, value in endpoint.headers.items()}
    plain, sealed = {}, {}
    for name, value in headers.items():
        if value == HIDDEN and name.lower() in kept:
            sealed[name] = kept[name.lower()]
        else:
            plain[name] = before.get(name.lower(), value) if value == HIDDEN else value
    return sealed_headers(msgspec.structs.replace(endpoint, headers=plain, sealed_headers=sealed), secrets)


def unknown_headers(headers: Mapping[str, str], endpoint: Endpoint | None) -> list[Problem]:
    """Which of the headers that are given as ``HIDDEN`` the endpoint does not have; a new one, None, has none."""
    known = set() if endpoint is None else {name.lower() for name in endpoint.shown_headers}
    message = f"{HIDDEN} stands for a value that is kept, and there is none: give it"
    return [
        Problem(path="$.headers", message=f"{name}: {message}")
        for name, value in headers.items()
        if value == HIDDEN and name.lower() not in known
    ]


def sealed_headers(endpoint: Endpoint, secrets: SecretBox) -> Endpoint:
    """An endpoint as the catalog keeps it: headers that are credentials are sealed."""
    sealed = {name: secrets.seal(value) for name, value in endpoint.headers.items() if is_secret_header(name, value)}
    plain = {name: value for name, value in endpoint.headers.items() if name not in sealed}
    return msgspec.structs.replace(endpoint, headers=plain, sealed_headers=endpoint.sealed_headers | sealed)


def with_plain_headers(endpoint: Endpoint, secrets: SecretBox) -> Endpoint:
    """An endpoint all of whose headers are plain.

    Raises:
        Misconfigured: none of the installation's secret keys sealed them.
    """
    if not endpoint.sealed_headers:
        return endpoint
    opened = {name: secrets.open(token) for name, token in endpoint.sealed_headers.items()}
    return msgspec.structs.replace(endpoint, headers=endpoint.headers | opened, sealed_headers={})


def resealed_headers(endpoint: Endpoint, secrets: SecretBox) -> Endpoint:
    """An endpoint whose headers are sealed by the first secret key; the same where they are already.

    Raises:
        Misconfigured: none of the installation's secret keys sealed them.
    """
    sealed = {name: secrets.resealed(token) for name, token in endpoint.sealed_headers.items()}
    return sealed_headers(msgspec.structs.replace(endpoint, sealed_headers=sealed), secrets)


def sealed_template(template: RequestTemplate, secrets: SecretBox) -> RequestTemplate:
    """As the catalog keeps it: headers and query parameters that are credentials, and no variables."""

    def seal(each: NameValue) -> NameValue:
        if each.sealed or not each.value or "${." in each.value or not hides(each.name, each.value):
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
