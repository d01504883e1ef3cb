"""The upgrade to records with MACs: from the marker on, only signed records count; those of before are signed once."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING

from backbone.catalog.authenticity import marker
from backbone.catalog.writer import Changes
from schemas.model import timestamps
from schemas.model.access import Role
from schemas.model.errors import PayloadTooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.reader import Catalog
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter

log = logging.getLogger(__name__)

_TOGETHER = 500
"""Records that one write signs: it must fit into a request's time."""


async def take_over(catalog: Catalog, writer: CatalogWriter) -> None:
    """Write the marker and sign what has no MAC. Several processes may call it at once: they share the work.

    The first record with a MAC is the marker: it ends the time in which unsigned ones count. It also announces this
    process's first secret key, before anything is signed with it.

    Raises:
        Unavailable: Kafka cannot take it now; call it again.
    """
    state = catalog.authenticity
    await catalog.caught_up()
    if state.unsigned and not state.sequence:
        administrators = [
            f"{client.workspace}/{client.name}"
            for workspace in catalog.view.workspaces()
            for client in catalog.view.clients(workspace.name)
            if Role.ADMIN in client.roles
        ]
        log.warning(
            "UPGRADE: the catalog's records have no MAC. They are taken over now, once; from here on only signed"
            " records count. Check that you know these administrators. Processes of older versions must be stopped.",
            extra={"records": len(state.unsigned), "administrators": administrators},
        )
    if state.newest not in state.announced:
        await writer.write(lambda _view: _announce(catalog, complete=state.complete))
    await _sign_unsigned(catalog, writer)
    if not state.complete and not state.unsigned:
        await writer.write(lambda _view: _announce(catalog, complete=not state.unsigned))
        log.info("every record of the catalog has a MAC")


async def _sign_unsigned(catalog: Catalog, writer: CatalogWriter) -> None:
    """Sign what has no MAC, but for records that Kafka does not take with one; these go on counting."""
    left, together = list(catalog.authenticity.unsigned), _TOGETHER
    while left:
        some = left[:together]
        try:
            await writer.write(lambda view, keys=some: _sign(catalog, view, keys))  # type: ignore[misc]  # bound early
        except PayloadTooLarge:
            if len(some) > 1:
                together = 1
                continue
            log.error("a catalog record is too large to be signed", extra={"record": some[0]})  # noqa: TRY400  # one line says it
        left, together = left[len(some) :], _TOGETHER


async def sign_with_newest(catalog: Catalog, writer: CatalogWriter) -> int:
    """Sign every record with the first secret key and withdraw the other keys; how many records were signed.

    It is the end of a rotation: afterwards no record needs the other keys.

    Raises:
        Unavailable: Kafka cannot take it now; call it again.
    """
    await take_over(catalog, writer)
    state, signed = catalog.authenticity, 0
    while state.older or state.announced != {state.newest}:
        signed += await writer.write(lambda view: _sign_again(catalog, view))
    return signed


def _announce(catalog: Catalog, *, complete: bool) -> Changes[None]:
    state = catalog.authenticity
    keys = state.announced | {state.newest}
    if keys == state.announced and complete == state.complete:
        return Changes(result=None)
    return Changes(put=[marker(sorted(keys), complete=complete, now=timestamps.now())], result=None)


def _sign(catalog: Catalog, view: CatalogView, keys: Sequence[str]) -> Changes[None]:
    # Another process may have signed some meanwhile.
    keys = [key for key in keys if key in catalog.authenticity.unsigned]
    found = [view.get(key) for key in keys]
    return Changes(
        put=[each for each in found if each is not None],
        # A record that could not be read says nothing.
        delete=[key for key, each in zip(keys, found, strict=True) if each is None],
        result=None,
    )


def _sign_again(catalog: Catalog, view: CatalogView) -> Changes[int]:
    state = catalog.authenticity
    keys = list(itertools.islice(list(state.older), _TOGETHER))
    if keys:
        found = [each for each in map(view.get, keys) if each is not None]
        gone = [key for key in keys if view.get(key) is None]
        return Changes(put=found, delete=gone, result=len(found))
    # Under the writer lock nobody signs with another key meanwhile; from this record on nobody does.
    return Changes(put=[marker([state.newest], complete=state.complete, now=timestamps.now())], result=0)
