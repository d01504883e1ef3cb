"""What a file's resources must be like, whatever the catalog has: the rules of the APIs that make them."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING

from fastavro.schema import SchemaParseException, parse_schema

from backbone.catalog import endpoints
from backbone.catalog.accounts import check_workspace_name
from backbone.catalog.event_types import check_names
from backbone.catalog.subscriptions import check_filter
from backbone.catalog.transfer import secrecy
from backbone.catalog.type_changes import check_settings
from schemas.avro.attributes import canonical
from schemas.model.access import ApiKey, Client, Workspace
from schemas.model.endpoint import HIDDEN, Endpoint, EventFilter, Subscription
from schemas.model.errors import Conflict, InvalidRequest, Misconfigured, Problem
from schemas.model.event_type import EventType, Registration
from schemas.model.projection import EndpointProjection
from schemas.model.quota import QuotaKind
from schemas.projections.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.transfer.document import Document, Item
    from backbone.catalog.view import CatalogView
    from schemas.model.quota import Quota
    from schemas.security.destinations import Destinations

_REFUSED = "The file cannot be imported: nothing was changed."
_LONGEST_ID = 255

_METHOD = re.compile(r"[A-Z]{1,20}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def check_document(
    document: Document, view: CatalogView, secrets: SecretBox, key_ids: Collection[str], destinations: Destinations
) -> None:
    """Refuse a file with a resource that no API would make, or whose secrets cannot be decrypted here.

    Args:
        document: the file.
        view: the catalog; a URL that it has already is let be.
        secrets: decrypts.
        key_ids: of the secret keys that this installation has.
        destinations: which URLs may be registered.

    Raises:
        InvalidRequest: names every place.
        Conflict: the file is sealed with other secret keys.
    """
    if document.sealed and not set(document.sealed_with) <= set(key_ids):
        raise Conflict(
            "The secrets of the file are sealed with other HEADRACE_SECRET_KEYS than this installation has. Nothing "
            "was changed. Add those keys here, or export without --sealed and set the secrets afterwards."
        )
    problems = [problem for item in document.items for problem in _problems(item, view, destinations)]
    if problems:
        raise InvalidRequest(_REFUSED, problems)
    problems = [problem for item in document.items for problem in _secret_problems(item, document, secrets)]
    if problems:
        raise InvalidRequest(_REFUSED, problems)


def _problems(item: Item, view: CatalogView, destinations: Destinations) -> list[Problem]:
    resource, place = item.resource, item.place
    found: list[Problem] = []
    match resource:
        case Workspace():
            found = _told(place, lambda: check_workspace_name(resource.name))
            found += _id_problems(resource.id, place) + _quota_problems(resource.quota, place)
        case Client():
            found = _id_problems(resource.id, place) + _quota_problems(resource.quota, place)
        case Subscription() | ApiKey():
            found = _id_problems(resource.id, place)
        case EventType():
            found = _type_problems(resource, item)
        case Registration():
            found = _told(place, lambda: canonical(resource.attributes))
        case Endpoint():
            found = _endpoint_problems(resource, place, view, destinations)
        case EventFilter():
            found = _told(place, lambda: check_filter(resource, view.event_filter(resource.id)))
            found += _id_problems(resource.id, place)
        case EndpointProjection():
            for at, each in enumerate(resource.versions):
                found += _told(f"{place}.versions[{at}]", functools.partial(Projection, each.expression))
        case _:
            pass
    return found


def _type_problems(event_type: EventType, item: Item) -> list[Problem]:
    found = _told(item.place, lambda: check_names(event_type.namespace, event_type.code))
    found += _told(item.place, lambda: check_settings(event_type))
    found += _told(item.place, lambda: canonical(event_type.declared, "$.declared"))
    return found + [
        Problem(path=f"{item.place}.schemas[{at}]", message="is no Avro schema")
        for at, text in enumerate(item.schemas)
        if not _is_schema(text)
    ]


def _endpoint_problems(endpoint: Endpoint, place: str, view: CatalogView, destinations: Destinations) -> list[Problem]:
    before = view.endpoint(endpoint.id)
    found = [*endpoints.endpoint_problems(endpoint), *endpoints.schedule_problems(endpoint)]
    # The URL of a template is filled in from the event; where it leads is checked when it is called.
    if endpoint.request is None and (before is None or before.url != endpoint.url):
        found += endpoints.url_problems(endpoint, destinations)
    return _placed(place, found) + _id_problems(endpoint.id, place) + _request_problems(endpoint, place)


def _request_problems(endpoint: Endpoint, place: str) -> list[Problem]:
    """What would end the line of a request that the webhook connector writes."""
    template = () if endpoint.request is None else endpoint.request.headers
    names = (*endpoint.headers, *endpoint.sealed_headers, *(each.name for each in template))
    values = (*endpoint.headers.values(), *(each.value for each in template))
    found = []
    if not _METHOD.fullmatch(endpoint.method):
        found.append(Problem(path=f"{place}.method", message="is no method"))
    if not all(_HEADER_NAME.fullmatch(each) for each in names) or any(_CONTROL.search(each) for each in values):
        found.append(Problem(path=f"{place}.headers", message="has one that cannot be sent (RFC 9110)"))
    return found


def _id_problems(given: str, place: str) -> list[Problem]:
    if 1 <= len(given) <= _LONGEST_ID and given.isprintable() and "/" not in given:
        return []
    return [Problem(path=f"{place}.id", message="is no id: one is a segment of paths")]


def _quota_problems(quota: Quota, place: str) -> list[Problem]:
    return [
        Problem(path=f"{place}.quota.{kind}", message="must be at least 1, or unlimited")
        for kind in QuotaKind
        if isinstance(rate := getattr(quota, kind), int) and rate < 1
    ]


def _secret_problems(item: Item, document: Document, secrets: SecretBox) -> list[Problem]:
    if not isinstance(item.resource, Endpoint):
        return []
    found = [*secrecy.tokens(item.resource), *(("signing_secrets", each) for each in item.resource.signing_secrets)]
    if not document.sealed:
        message = f"a secret is not taken from a file: write {HIDDEN}, and set it afterwards"
        return [Problem(path=f"{item.place}.{name}", message=message) for name, text in found if text != HIDDEN]
    problems = []
    for name, token in found:
        try:
            if token:
                secrets.open(token)
        except (Misconfigured, ValueError):
            problems.append(
                Problem(path=f"{item.place}.{name}", message="cannot be decrypted with HEADRACE_SECRET_KEYS")
            )
    return problems


def _told(place: str, check: Callable[[], object]) -> list[Problem]:
    try:
        check()
    except InvalidRequest as error:
        return _placed(place, error.problems)
    except Conflict as error:
        return [Problem(path=place, message=str(error))]
    return []


def _placed(place: str, problems: Collection[Problem]) -> list[Problem]:
    return [Problem(path=f"{place}{each.path.removeprefix('$')}", message=each.message) for each in problems]


def _is_schema(text: str) -> bool:
    try:
        parse_schema(json.loads(text))
    except (ValueError, SchemaParseException, RecursionError, KeyError, TypeError, AttributeError):
        return False
    return True
