"""``GET /schemas/ids/{id}`` without the framework: each deserializer asks it for each schema that it meets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from families.schema_registry.http.access import registry_of
from families.schema_registry.http.messages import MEDIA_TYPE, RegistryResponse
from families.schema_registry.http.routes import router
from ingest_api.prepared_reads import PreparedRead

if TYPE_CHECKING:
    from ingest_api.gateway import Gateway
    from ingest_api.http import Scope

_FOLDER = f"{router.prefix}/schemas/ids"
_ID = re.compile(r"[0-9]{1,9}")
_PLAIN = re.compile(rb"((subject=[^&]*|fetchMaxId=false)(&|$))*")
"""Queries that change nothing about the answer: those of stock clients."""


async def _schema_by_id(scope: Scope, gateway: Gateway) -> bytes | None:
    """The same body as the route's; None where anything is unusual.

    Raises:
        Unauthenticated, PermissionDenied: the caller may not read the registry.
    """
    number = scope["path"].rpartition("/")[2]
    if _ID.fullmatch(number) is None or _PLAIN.fullmatch(scope["query_string"]) is None:
        return None
    host = _first(scope, b"host")
    registry = await registry_of(
        gateway, _first(scope, b"authorization"), None if host is None else host.decode("latin-1"), None
    )
    # What is not known is looked for by the route: to wait for Kafka here too would take twice the time.
    found = registry.known().schema_versions(int(number))
    return None if not found else RegistryResponse.encoded({"schema": found[0].text})


def _first(scope: Scope, name: bytes) -> bytes | None:
    """The first of several headers of a name: the one that the framework takes."""
    return next((value for header, value in scope["headers"] if header == name), None)


SCHEMA_BY_ID = PreparedRead(
    folder=_FOLDER,
    route=f"{_FOLDER}/{{schema_id}}",
    content_type=MEDIA_TYPE.encode(),
    answer=_schema_by_id,
)
