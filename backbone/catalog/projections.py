"""Projections: what of an event an endpoint is sent, by event type, in versions that deliveries name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.endpoints import existing_endpoint
from backbone.catalog.writer import Changes
from schemas.model import timestamps
from schemas.model.endpoint import Endpoint, EndpointType
from schemas.model.errors import Conflict, InvalidRequest, NotFound, Problem, QuotaExceeded
from schemas.model.projection import EndpointProjection, ProjectionVersion
from schemas.model.topics import event_topic
from schemas.projections.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter

KEPT = 30 * 86_400 * 1_000_000
"""Microseconds for which a version that was replaced is kept: longer than any delivery waits for its last try."""

MOST_VERSIONS = 100
"""Kept of one projection. One that comes back has its old number."""

MOST_OF_ENDPOINT = 100
"""Projections of one endpoint."""


class Projections:
    """Creates, changes and deletes projections; all methods raise ``Unavailable`` when Kafka cannot answer.

    Args:
        writer: this process's writer.
    """

    def __init__(self, writer: CatalogWriter) -> None:
        self._writer = writer

    async def put(
        self, workspace: str, endpoint_id: str, namespace: str, code: str, expression: str
    ) -> EndpointProjection:
        """Send an endpoint what an expression makes of events of a type, those that are accepted from now on.

        Raises:
            InvalidProjection: the expression cannot be evaluated; says where.
            InvalidRequest: the endpoint is no webhook, or fills in a template.
            NotFound: there is no such endpoint or event type in the workspace.
            Conflict: the endpoint belongs to an API family, or there are too many versions.
            QuotaExceeded: the endpoint has too many projections.
        """
        Projection(expression)
        topic = event_topic(workspace, namespace, code)

        def decide(view: CatalogView) -> Changes[EndpointProjection]:
            endpoint = self._endpoint(view, workspace, endpoint_id)
            if endpoint.type is not EndpointType.WEB_HOOK or endpoint.request is not None:
                message = "a projection is for webhooks that are sent events and fill in no template"
                raise InvalidRequest(f"{message[0].upper()}{message[1:]}.", [Problem(path="$", message=message)])
            if view.event_type(topic) is None:
                raise NotFound(f"there is no event type {namespace}/{code}")
            now = timestamps.now()
            found = view.projection(endpoint.id, topic)
            if found is None:
                if view.count_of("projections_of", endpoint.id) >= MOST_OF_ENDPOINT:
                    raise QuotaExceeded(f"An endpoint can have {MOST_OF_ENDPOINT} projections at most.")
                found = EndpointProjection(
                    endpoint=endpoint.id,
                    workspace=workspace,
                    topic=topic,
                    namespace=namespace,
                    code=code,
                    versions=(),
                    current=None,
                    created_at=now,
                    updated_at=now,
                )
            changed = _with_expression(found, expression, now)
            return Changes(put=[] if changed == found else [changed], result=changed)

        return await self._writer.write(decide)

    async def delete(self, workspace: str, endpoint_id: str, namespace: str, code: str) -> None:
        """Send an endpoint whole events of a type, those that are accepted from now on.

        Raises:
            NotFound: there is no such projection.
            Conflict: the endpoint belongs to an API family.
        """

        def decide(view: CatalogView) -> Changes[None]:
            endpoint = self._endpoint(view, workspace, endpoint_id)
            found = view.projection(endpoint.id, event_topic(workspace, namespace, code))
            if found is None or found.current is None:
                raise NotFound(f"endpoint {endpoint_id} has no projection for {namespace}/{code}")
            now = timestamps.now()
            ended = msgspec.structs.replace(found, versions=_kept(found, None, now), current=None, updated_at=now)
            # What was deleted before, and nobody needs any more, goes with it.
            gone = [
                each.key
                for each in view.listed("projections_of", endpoint.id)
                if isinstance(each, EndpointProjection) and each.current is None and not _kept(each, None, now)
            ]
            return Changes(put=[ended], delete=gone, result=None)

        await self._writer.write(decide)

    def _endpoint(self, view: CatalogView, workspace: str, endpoint_id: str) -> Endpoint:
        endpoint = existing_endpoint(view, workspace, endpoint_id)
        self._writer.extension.guard(view, endpoint)
        return endpoint


def current_version(view: CatalogView, endpoint: Endpoint, topic: str) -> int | None:
    """The version that a new delivery of an event to an endpoint gets; None: the event goes out whole."""
    found = view.projection(endpoint.id, topic)
    return None if found is None else found.current


def expression_of(view: CatalogView, endpoint: str, topic: str, number: int) -> str | None:
    """The expression of a version; None when it is not kept, or not known yet."""
    found = view.projection(endpoint, topic)
    version = None if found is None else found.version(number)
    return None if version is None else version.expression


def _with_expression(found: EndpointProjection, expression: str, now: int) -> EndpointProjection:
    """With an expression as the present one; the same where it is already.

    Raises:
        Conflict: too many other versions are kept.
    """
    present = found.version(found.current)
    if present is not None and present.expression == expression:
        return found
    known = next((each for each in found.versions if each.expression == expression), None)
    last = max((each.number for each in found.versions), default=0)
    number = last + 1 if known is None else known.number
    versions = _kept(found, number, now)
    if known is None:
        versions = (*versions, ProjectionVersion(number=number, expression=expression, created_at=now))
    if len(versions) > MOST_VERSIONS:
        until = min(each.replaced_at or now for each in versions) + KEPT
        raise Conflict(
            f"{MOST_VERSIONS} versions of this projection are kept, because deliveries may need them. The first is "
            f"dropped at {timestamps.to_text(until)}; try expressions with a dry run."
        )
    return msgspec.structs.replace(found, versions=versions, current=number, updated_at=now)


def _kept(found: EndpointProjection, current: int | None, now: int) -> tuple[ProjectionVersion, ...]:
    """The versions that deliveries may need, when ``current`` becomes the present one. The last number stays known."""
    versions: list[ProjectionVersion] = []
    for each in found.versions:
        if each.number == current:
            version = msgspec.structs.replace(each, replaced_at=None)
        else:
            replaced_at = now if each.replaced_at is None else each.replaced_at
            version = msgspec.structs.replace(each, replaced_at=replaced_at)
        if version.replaced_at is None or now - version.replaced_at < KEPT:
            versions.append(version)
    return tuple(versions)


def present(projections: Sequence[EndpointProjection]) -> list[EndpointProjection]:
    """Those that were not deleted."""
    return [each for each in projections if each.current is not None]
