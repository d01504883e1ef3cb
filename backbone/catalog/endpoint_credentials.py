"""The credentials that an endpoint's requests carry: checked when they come in, sealed in the catalog."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from schemas.avro.attributes import member
from schemas.model import request_headers
from schemas.model.endpoint import HIDDEN, AuthorizationType, NameValue
from schemas.model.errors import Misconfigured, Problem
from schemas.model.secrecy import hides, is_credential, looks_secret
from schemas.model.urls import is_absolute, server_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backbone.catalog.secrets import SecretBox
    from schemas.model.endpoint import Authorization, Endpoint, RequestTemplate
    from schemas.security.destinations import Destinations

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


_OF_TOKENS = ("scope", "audience", "parameters")
"""What only requests for access tokens have."""

_OURS = frozenset(("grant_type", "client_id", "client_secret", "refresh_token", "scope", "audience"))
"""Parameters of such a request that have members of their own."""

_MOST_PARAMETERS, _MOST_IN_PARAMETERS = 20, 4_096
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")
"""Scopes with a space between them (RFC 6749 section 3.3)."""


def sealed(authorization: Authorization, secrets: SecretBox) -> Authorization:
    """As the catalog keeps it, from one whose secrets are plain."""
    return _each_secret(authorization, secrets.seal, lambda each: _sealed_value(each, secrets))


def opened(authorization: Authorization, secrets: SecretBox) -> Authorization:
    """With plain secrets, from one that the catalog keeps.

    Raises:
        Misconfigured: none of the installation's secret keys sealed it.
    """
    return _each_secret(authorization, secrets.open, lambda each: _opened_value(each, secrets))


def resealed(authorization: Authorization, secrets: SecretBox) -> Authorization:
    """With its secrets sealed by the first secret key; the same where they are already.

    Raises:
        Misconfigured: none of the installation's secret keys sealed it.
    """
    return _each_secret(authorization, secrets.resealed, lambda each: _resealed_value(each, secrets))


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
    found += _token_problems(authorization, path)
    if authorization.token_url:
        found += url_problems(authorization.token_url, destinations, f"{path}.token_url")
    return found


def _token_problems(authorization: Authorization, path: str) -> list[Problem]:
    """What is wrong with the further members of requests for access tokens."""
    if "token_url" not in _TAKEN[authorization.type]:
        message = f"does not belong to {authorization.type.value}: leave it out"
        return [Problem(path=f"{path}.{name}", message=message) for name in _OF_TOKENS if getattr(authorization, name)]
    found = []
    if authorization.scope and _SCOPE.fullmatch(authorization.scope) is None:
        found.append(Problem(path=f"{path}.scope", message="must be scopes with a space between them (RFC 6749)"))
    parameters = authorization.parameters
    size = sum(len(each.name.encode()) + len(each.value.encode()) for each in parameters)
    if len(parameters) > _MOST_PARAMETERS or size > _MOST_IN_PARAMETERS:
        message = f"may be {_MOST_PARAMETERS}, with {_MOST_IN_PARAMETERS:,} bytes together"
        return [*found, Problem(path=f"{path}.parameters", message=message)]
    for each in parameters:
        place = member(f"{path}.parameters", each.name)
        if each.name in _OURS:
            message = "has a member of its own" if hasattr(authorization, each.name) else "is set by the gateway"
            found.append(Problem(path=place, message=f"{message}: leave it out here"))
        elif not (each.name and each.name.isprintable()):
            found.append(Problem(path=place, message="is no name of a parameter"))
        elif each.value == HIDDEN:
            found.append(Problem(path=place, message=f"{HIDDEN} stands for a value: give it again"))
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


def large_headers(before: Endpoint, wanted: Endpoint, secrets: SecretBox) -> list[Problem]:
    """Whether a changed endpoint's headers are too large, with the values that were kept; they may always shrink."""

    def size(endpoint: Endpoint) -> int:
        kept = {name: _opened_or_empty(token, secrets) for name, token in endpoint.sealed_headers.items()}
        return request_headers.size(endpoint.headers | kept)

    if (found := size(wanted)) <= request_headers.MOST_BYTES or found <= size(before):
        return []
    message = f"may have {request_headers.MOST_BYTES:,} bytes, names and values together; these would have {found:,}"
    return [Problem(path="$.headers", message=message)]


def _opened_or_empty(token: str, secrets: SecretBox) -> str:
    try:
        return secrets.open(token)
    except Misconfigured:
        return ""


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
    """With sealed values, where they are credentials that are plain: those with variables stay as they are."""
    return _each_member(template, lambda each: each if "${." in each.value else _sealed_value(each, secrets))


def opened_template(template: RequestTemplate, secrets: SecretBox) -> RequestTemplate:
    """With plain values, from one that the catalog keeps.

    Raises:
        Misconfigured: none of the installation's secret keys sealed them.
    """
    return _each_member(template, lambda each: _opened_value(each, secrets))


def resealed_template(template: RequestTemplate, secrets: SecretBox) -> RequestTemplate:
    """With its credentials sealed by the first secret key; the same where they are already.

    Raises:
        Misconfigured: none of the installation's secret keys sealed them.
    """
    return sealed_template(_each_member(template, lambda each: _resealed_value(each, secrets)), secrets)


def _sealed_value(each: NameValue, secrets: SecretBox) -> NameValue:
    if each.sealed or not each.value or not hides(each.name, each.value):
        return each
    return NameValue(name=each.name, value=secrets.seal(each.value), sealed=True)


def _opened_value(each: NameValue, secrets: SecretBox) -> NameValue:
    return NameValue(name=each.name, value=secrets.open(each.value)) if each.sealed else each


def _resealed_value(each: NameValue, secrets: SecretBox) -> NameValue:
    return msgspec.structs.replace(each, value=secrets.resealed(each.value)) if each.sealed else each


def _each_member(template: RequestTemplate, change: Callable[[NameValue], NameValue]) -> RequestTemplate:
    headers, query = (tuple(map(change, members)) for members in (template.headers, template.query))
    return msgspec.structs.replace(template, headers=headers, query=query)


def _each_secret(
    authorization: Authorization, change: Callable[[str], str], change_value: Callable[[NameValue], NameValue]
) -> Authorization:
    return msgspec.structs.replace(
        authorization,
        secret=None if authorization.secret is None else change(authorization.secret),
        refresh_token=None if authorization.refresh_token is None else change(authorization.refresh_token),
        parameters=tuple(map(change_value, authorization.parameters)),
    )
