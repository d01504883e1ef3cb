"""``headrace reseal``: the step of a rotation after which the old key seals and signs nothing any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backbone.catalog.endpoints import Endpoints
from backbone.catalog.reader import Catalog
from backbone.catalog.secrets import SecretBox
from backbone.catalog.takeover import sign_with_newest
from backbone.catalog.writer import CatalogWriter
from backbone.kafka.admin import Admin
from backbone.kafka.settings import KafkaSettings
from backbone.process.settings import BackboneSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from backbone.catalog.endpoints import Resealed

_TIMEOUT = 30.0
"""Seconds for the one write: nobody's request waits for it."""


def run(console: Console) -> int:
    """Seal every secret of the catalog with the first secret key; the exit status, 1 when some cannot be opened.

    Raises:
        Unavailable: Kafka cannot be reached.
    """
    done = _reseal(KafkaSettings(), BackboneSettings().secret_keys)
    _say(console, f"{done.changed} endpoints and API keys were sealed with the first secret key.")
    if not done.lost:
        return 0
    _say(console, f"{len(done.lost)} cannot be opened: HEADRACE_SECRET_KEYS lacks the key that sealed them.")
    for key in done.lost:
        _say(console, f"  {key}")
    return 1


def _reseal(kafka: KafkaSettings, secret_keys: Sequence[str]) -> Resealed:
    # Says why if Kafka cannot be reached, which the catalog does not.
    Admin(kafka).partition_counts_now()
    catalog = Catalog(kafka, secret_keys)
    writer = CatalogWriter(catalog, kafka, timeout=_TIMEOUT)
    catalog.start()
    try:
        catalog.catch_up()
        writer.start()
        return asyncio.run(_write(catalog, writer, SecretBox(secret_keys)))
    finally:
        writer.stop()
        catalog.stop()


async def _write(catalog: Catalog, writer: CatalogWriter, secrets: SecretBox) -> Resealed:
    done = await Endpoints(writer, secrets).reseal()
    await sign_with_newest(catalog, writer)
    return done


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
