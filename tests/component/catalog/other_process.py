"""A second process that writes to the catalog: ``other_process.py <bootstrap> <race|hang> <workspace>``.

``race`` waits for a line on standard input, creates the workspace and prints its id, or ``taken``. ``hang`` stops for
good between producing and committing, and says so.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import backbone.catalog.writer
from backbone.catalog.reader import Catalog
from backbone.catalog.writer import CatalogWriter, Changes
from backbone.kafka.settings import KafkaSettings
from backbone.kafka.transaction import TransactionalProducer
from schemas.model.access import Workspace
from schemas.model.errors import AlreadyExists
from schemas.model.ids import new_id
from tests.support.running_gateway import SECRET_KEYS

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView


class HangsBeforeCommit(TransactionalProducer):
    def commit(self) -> None:
        say("before commit")
        time.sleep(600)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def main(bootstrap: str, what: str, name: str) -> None:
    settings = KafkaSettings(bootstrap_servers=bootstrap)
    if what == "hang":
        backbone.catalog.writer.TransactionalProducer = HangsBeforeCommit  # type: ignore[misc]
    catalog = Catalog(settings, [SECRET_KEYS])
    catalog.start()
    await catalog.caught_up()
    writer = CatalogWriter(catalog, settings, timeout=30)
    writer.start()

    def decide(view: CatalogView) -> Changes[str]:
        if view.workspace(name) is not None:
            raise AlreadyExists(name)
        new = Workspace(id=new_id(), name=name, created_at=0, updated_at=0)
        return Changes(put=[new], result=new.id)

    if what == "race":
        say("ready")
        sys.stdin.readline()
    try:
        say(await writer.write(decide))
    except AlreadyExists:
        say("taken")
    writer.stop()
    catalog.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
