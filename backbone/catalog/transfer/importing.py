"""Imports a file: reads and checks it, creates the topics of new event types, and writes one transaction."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from backbone.catalog.signing_secrets import new_secret
from backbone.catalog.transfer import document as documents
from backbone.catalog.transfer.checks import check_document
from backbone.catalog.transfer.exporting import exported
from backbone.catalog.transfer.plan import Plan, Scope, plan
from backbone.catalog.writer import Changes
from schemas.model.endpoint import Endpoint
from schemas.model.errors import InvalidRequest, Problem
from schemas.model.family_record import FamilyRecord

if TYPE_CHECKING:
    from backbone.catalog.event_topics import EventTopics
    from backbone.catalog.reader import Catalog
    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter

_MOST_TOPICS_AT_ONCE = 8


class Prepared(NamedTuple):
    """A file that was read and checked, and what its import changes.

    Attributes:
        read: the file.
        scope: what it may change.
        signing: new signing secrets of its endpoints, encrypted, by endpoint.
        planned: what changed when it was read.
    """

    read: documents.Document
    scope: Scope
    signing: dict[str, str]
    planned: Plan


class Transfer:
    """Exports and imports the catalog.

    A large one takes seconds of work here, in which nothing waits for Kafka. So the methods are apart: those that wait
    for Kafka belong within a request's deadline, the others do not.

    Args:
        catalog: this process's reader.
        writer: this process's writer.
        event_topics: of new event types.
        secrets: of the installation.
    """

    def __init__(self, catalog: Catalog, writer: CatalogWriter, event_topics: EventTopics, secrets: SecretBox) -> None:
        self._catalog = catalog
        self._writer = writer
        self._event_topics = event_topics
        self._secrets = secrets
        self._free = asyncio.Semaphore(1)

    async def caught_up(self) -> None:
        """Have everything that was committed before this call.

        Raises:
            Unavailable: Kafka does not answer.
        """
        await self._catalog.caught_up()

    async def export(self, workspace: str | None, *, sealed: bool) -> str:
        """Return the catalog, or one workspace, as a file.

        Args:
            workspace: its name; None is all.
            sealed: encrypted secrets are in it, and API keys as their hashes.
        """
        keys = self._catalog.authenticity.key_ids if sealed else None
        async with self._free:
            return await asyncio.to_thread(exported, self._catalog.view, workspace, sealed_with=keys)

    async def plan(self, text: bytes, scope: Scope) -> Prepared:
        """Read and check a file, and find what its import changes; nothing is changed.

        Args:
            text: of the file.
            scope: what it may change.

        Raises:
            InvalidRequest: the file cannot be read, or contradicts itself or the catalog; names every place.
            Conflict: it is sealed with other keys; or subscriptions would lose an end.
            QuotaExceeded: a workspace would have more than it may.
        """
        async with self._free:
            read = await asyncio.to_thread(documents.read, text)
            await asyncio.to_thread(self._check, read)
            signing = {
                item.resource.id: self._secrets.seal(new_secret())
                for item in read.items
                if isinstance(item.resource, Endpoint) and not read.sealed
            }
            planned = await asyncio.to_thread(self._planned, self._catalog.view, read, scope, signing)
        return Prepared(read, scope, signing, planned)

    async def carry_out(self, prepared: Prepared) -> Plan:
        """Import a file: all of it in one transaction, or nothing.

        It is planned again against the catalog as it is then. Topics of new event types are created before. They stay
        if the transaction is refused.

        Raises:
            Conflict: subscriptions would lose an end.
            PayloadTooLarge: it is more than one transaction may write.
            QuotaExceeded: a workspace would have more than it may.
            Unavailable: Kafka does not answer.
        """
        planned = prepared.planned
        if not (planned.put or planned.delete or planned.schemas):
            return planned
        await self._have_topics(planned)

        def decide(view: CatalogView) -> Changes[Plan]:
            found = self._planned(view, prepared.read, prepared.scope, prepared.signing)
            return Changes(put=found.put, delete=found.delete, schemas=found.schemas, result=found)

        return await self._writer.write(decide)

    def _planned(self, view: CatalogView, read: documents.Document, scope: Scope, signing: dict[str, str]) -> Plan:
        """The plan, unless it deletes what a record of a family that stays stands for."""
        planned = plan(view, read, scope, signing)
        gone = [each for key in planned.delete if (each := view.get(key)) is not None]
        if gone:
            after = view.copy()
            Changes(put=planned.put, delete=planned.delete, schemas=planned.schemas, result=None).apply_to(after)
            for each in gone:
                self._writer.extension.guard(after, each)
        return planned

    def _check(self, read: documents.Document) -> None:
        check_document(
            read,
            self._catalog.view,
            self._secrets,
            self._catalog.authenticity.key_ids,
            self._writer.destinations,
        )
        problems: list[Problem] = []
        for item in read.items:
            if isinstance(item.resource, FamilyRecord):
                try:
                    self._writer.extension.check_record(item.resource)
                except InvalidRequest as error:
                    problems += [
                        Problem(path=f"{item.place}{each.path.removeprefix('$')}", message=each.message)
                        for each in error.problems
                    ]
        if problems:
            raise InvalidRequest("The file cannot be imported: nothing was changed.", problems)

    async def _have_topics(self, planned: Plan) -> None:
        free = asyncio.Semaphore(_MOST_TOPICS_AT_ONCE)

        async def have(number: int) -> None:
            async with free:
                await self._event_topics.have_of_new(planned.new_types[number])

        await asyncio.gather(*map(have, range(len(planned.new_types))))
