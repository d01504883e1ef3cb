"""Which events go where: endpoints, event filters, and the subscriptions that link them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from backbone.catalog.accounts import existing_workspace
from backbone.catalog.endpoints import Endpoints, check_repeat, existing_endpoint, linked_anew
from backbone.catalog.writer import Changes
from schemas.filters.conditions import compile_condition
from schemas.model import timestamps
from schemas.model.endpoint import EventFilter, Subscription, TypeSelection
from schemas.model.errors import InvalidRequest, NotFound, Problem
from schemas.model.ids import derived, new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.reader import Catalog
    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter


class Routes(Endpoints):
    """Endpoints, and what leads to them; all methods raise ``Unavailable`` when Kafka cannot answer.

    What a method returns has its append times filled in: it is what a match goes by from then on.

    Args:
        catalog: this process's reader.
        writer: this process's writer.
        secrets: seals the signing secrets.
    """

    def __init__(self, catalog: Catalog, writer: CatalogWriter, secrets: SecretBox) -> None:
        super().__init__(writer, secrets)
        self._catalog = catalog

    async def create_filter(self, event_filter: EventFilter, *, key: tuple[str, str] | None = None) -> EventFilter:
        """A new event filter; id and times are set here. Names need not be unique.

        A repeat with the same ``key``, the client's ``unique_id`` and its idempotency key, gives the filter that the
        first call made.

        Raises:
            IdempotencyMismatch: the key made another filter.
            InvalidRequest: no name or no event type.
            InvalidFilter: the condition is not in the filter language; says where.
            NotFound: there is no such workspace.
        """
        check_filter(event_filter)
        now = timestamps.now()
        types = selections(event_filter.types, ())
        filter_id = new_id() if key is None else derived("event filter", event_filter.workspace, *key)
        new = msgspec.structs.replace(event_filter, id=filter_id, types=types, created_at=now, updated_at=now)

        def decide(view: CatalogView) -> Changes[EventFilter]:
            existing_workspace(view, new.workspace)
            found = view.event_filter(new.id)
            if found is None:
                return Changes(put=[new], result=new)
            undated = selections(found.types, ())
            # A repeat may say nothing of the version, and be of a release that had no other.
            check_repeat(msgspec.structs.replace(found, types=undated, version=new.version), new)
            return Changes(result=found)

        return self._dated_filter(await self._writer.write(decide))

    async def update_filter(self, workspace: str, filter_id: str, **changed: Any) -> EventFilter:
        """Give some of an event filter's properties other values; what is not named stays as it is at that moment.

        An event type that it selected before counts from when it was added.

        Args:
            workspace: that it belongs to.
            filter_id: its id.
            changed: the new values by property; not the id or the times.

        Raises:
            Conflict: it belongs to an API family, whose own API changes it.
            InvalidRequest: as for a new one.
            InvalidFilter: likewise.
            NotFound: there is no such event filter in the workspace.
        """

        def decide(view: CatalogView) -> Changes[EventFilter]:
            found = existing_filter(view, workspace, filter_id)
            self._writer.extension.guard(view, found)
            wanted = msgspec.structs.replace(found, **changed)
            check_filter(wanted, found)
            wanted = msgspec.structs.replace(wanted, types=selections(wanted.types, found.types))
            if wanted == found:
                return Changes(result=found)
            wanted = msgspec.structs.replace(wanted, updated_at=timestamps.now())
            return Changes(put=[wanted], result=wanted)

        return self._dated_filter(await self._writer.write(decide))

    async def delete_filter(self, workspace: str, filter_id: str) -> None:
        """Delete an event filter and its subscriptions.

        Raises:
            Conflict: it belongs to an API family, whose own API changes it.
            NotFound: there is no such event filter in the workspace.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_filter(view, workspace, filter_id)
            self._writer.extension.guard(view, found)
            links = view.subscriptions_of(filter_id)
            return Changes(delete=[found.key, *(each.key for each in links)], result=None)

        await self._writer.write(decide)

    async def link(self, workspace: str, filter_id: str, endpoint_id: str) -> Subscription:
        """Subscribe an endpoint to an event filter; a link that is there already stays as it is.

        Every event that is accepted after this has returned is matched.

        Raises:
            NotFound: there is no such event filter or endpoint in the workspace.
        """
        subscription_id = derived("subscription", filter_id, endpoint_id)

        def decide(view: CatalogView) -> Changes[Subscription]:
            existing_filter(view, workspace, filter_id)
            existing_endpoint(view, workspace, endpoint_id)
            found = view.subscription(subscription_id)
            if found is not None:
                return Changes(result=found)
            now = timestamps.now()
            new = Subscription(
                id=subscription_id,
                workspace=workspace,
                event_filter=filter_id,
                endpoint=endpoint_id,
                created_at=now,
                updated_at=now,
            )
            return Changes(put=[new], result=new)

        return self._dated_link(await self._writer.write(decide))

    async def unlink(self, workspace: str, filter_id: str, endpoint_id: str) -> bool:
        """Remove the link; whether there was one.

        Raises:
            NotFound: there is no such event filter or endpoint in the workspace.
        """
        subscription_id = derived("subscription", filter_id, endpoint_id)

        def decide(view: CatalogView) -> Changes[bool]:
            existing_filter(view, workspace, filter_id)
            existing_endpoint(view, workspace, endpoint_id)
            found = view.subscription(subscription_id)
            if found is None:
                return Changes(result=False)
            return Changes(delete=[found.key], result=True)

        return await self._writer.write(decide)

    async def delete_subscription(self, workspace: str, subscription_id: str) -> None:
        """Remove a link by its own id.

        Raises:
            Conflict: it belongs to an API family, whose own API changes it.
            NotFound: there is no such subscription in the workspace.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_subscription(view, workspace, subscription_id)
            self._writer.extension.guard(view, found)
            return Changes(delete=[found.key], result=None)

        await self._writer.write(decide)

    async def enable_subscription(self, workspace: str, subscription_id: str, *, enabled: bool = True) -> Subscription:
        """Enable or disable a subscription; an enabled one gets events from now on, not those it missed.

        Raises:
            Conflict: it belongs to an API family, whose own API changes it.
            NotFound: there is no such subscription in the workspace.
        """

        def decide(view: CatalogView) -> Changes[Subscription]:
            found = existing_subscription(view, workspace, subscription_id)
            if found.enabled == enabled:
                return Changes(result=found)
            self._writer.extension.guard(view, found)
            changed = msgspec.structs.replace(found, enabled=enabled, updated_at=timestamps.now())
            changed = linked_anew(changed) if enabled else changed
            return Changes(put=[changed], result=changed)

        return self._dated_link(await self._writer.write(decide))

    def _dated_filter(self, written: EventFilter) -> EventFilter:
        return self._catalog.view.event_filter(written.id) or written

    def _dated_link(self, written: Subscription) -> Subscription:
        return self._catalog.view.subscription(written.id) or written


def existing_filter(view: CatalogView, workspace: str, filter_id: str) -> EventFilter:
    """An event filter of a workspace by its id, or ``NotFound``."""
    found = view.event_filter(filter_id)
    if found is None or found.workspace != workspace:
        raise NotFound(f"there is no event filter {filter_id}")
    return found


def existing_subscription(view: CatalogView, workspace: str, subscription_id: str) -> Subscription:
    """A subscription of a workspace by its id, or ``NotFound``."""
    found = view.subscription(subscription_id)
    if found is None or found.workspace != workspace:
        raise NotFound(f"there is no subscription {subscription_id}")
    return found


def check_filter(event_filter: EventFilter, before: EventFilter | None = None) -> None:
    """Check a filter; of one that is there the condition only if it changes: there may be bounds that it predates."""
    problems = []
    if not event_filter.name.strip():
        problems.append(Problem(path="$.name", message="must not be empty"))
    if not event_filter.types:
        problems.append(Problem(path="$.types", message="at least one event type must be selected"))
    for index, each in enumerate(event_filter.types):
        if not each.namespace or not each.code:
            problems.append(Problem(path=f"$.types[{index}]", message="needs a namespace and a code"))
    if problems:
        raise InvalidRequest("The event filter cannot be used.", problems)
    known = None if before is None else (before.condition, before.version)
    if event_filter.condition is not None and (event_filter.condition, event_filter.version) != known:
        compile_condition(event_filter.condition, event_filter.version)


def selections(wanted: Sequence[TypeSelection], present: Sequence[TypeSelection]) -> tuple[TypeSelection, ...]:
    """The wanted types, once each; those that are selected at present keep the time that they were added."""
    since = {(each.namespace, each.code): each.added_at for each in present}
    names = dict.fromkeys((each.namespace, each.code) for each in wanted)
    return tuple(
        TypeSelection(namespace=namespace, code=code, added_at=since.get((namespace, code)))
        for namespace, code in names
    )
