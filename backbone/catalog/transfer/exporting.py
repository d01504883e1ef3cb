"""The catalog, or one workspace of it, as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbone.catalog.accounts import ADMIN_KEY_ID
from backbone.catalog.authenticity import MARKER_KEY
from backbone.catalog.transfer import document, secrecy
from schemas.model.access import ApiKey, Workspace
from schemas.model.endpoint import Endpoint, Subscription
from schemas.model.event_type import EventType, Registration
from schemas.model.growth import Growth
from schemas.model.projection import EndpointProjection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.view import CatalogView
    from schemas.model.resources import Resource

_SECTIONS = {kind: at for at, kind in enumerate(document.SECTIONS.values())}


def exported(view: CatalogView, workspace: str | None, *, sealed_with: Sequence[str] | None) -> str:
    """Return the file. Two exports of the same catalog are the same text.

    What belongs to the installation is not in it: the key of the first administrator, the mark of authenticity, and
    growths of topics.

    Args:
        view: caught up.
        workspace: the only one that is exported; None is all.
        sealed_with: ids of the secret keys, for a file with encrypted secrets; None leaves secrets out.
    """
    found = sorted((each for each in view.resources() if _is_exported(view, each, workspace)), key=_place)
    if sealed_with is None:
        found = [secrecy.hidden(each) if isinstance(each, Endpoint) else each for each in found]
        found = [each for each in found if not isinstance(each, ApiKey)]
    return document.written(((each, *_schemas(view, each)) for each in found), sealed_with=sealed_with)


def is_installations_own(resource: Resource) -> bool:
    """Whether a resource is made by every installation for itself."""
    if isinstance(resource, Growth):
        # It is about a topic on this Kafka.
        return True
    return resource.key == MARKER_KEY or (isinstance(resource, ApiKey) and resource.id == ADMIN_KEY_ID)


def workspace_of(resource: Resource) -> str:
    """Return the name of the workspace that a resource belongs to."""
    return resource.name if isinstance(resource, Workspace) else resource.workspace


def _is_exported(view: CatalogView, resource: Resource, workspace: str | None) -> bool:
    if workspace not in (None, workspace_of(resource)) or is_installations_own(resource):
        return False
    match resource:
        case Subscription():
            return view.event_filter(resource.event_filter) is not None and view.endpoint(resource.endpoint) is not None
        case ApiKey():
            return view.client(resource.workspace, resource.client) is not None
        case Registration():
            known = view.client(resource.workspace, resource.client) is not None
            return known and view.event_type(resource.topic) is not None
        case EndpointProjection():
            return view.endpoint(resource.endpoint) is not None
        case _:
            return True


def _place(resource: Resource) -> tuple[Any, ...]:
    """Registrations of a type go by age: its schema lists their attributes in this order."""
    kind = _SECTIONS[type(resource)]
    if isinstance(resource, Registration):
        return (kind, resource.topic, resource.created_at, resource.client, resource.registration.value)
    return (kind, workspace_of(resource), resource.key)


def _schemas(view: CatalogView, resource: Resource) -> tuple[list[str], int]:
    """The texts of a type's schemas, and the number of the current one."""
    if not isinstance(resource, EventType):
        return [], 0
    versions = view.subject_versions(resource.subject)
    ids = [each.id for each in versions]
    current = ids.index(resource.schema_id) + 1 if resource.schema_id in ids else len(ids)
    return [each.text for each in versions], current
