"""Comparing a schema in a request with those that are registered: on threads, for a large one takes long."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from backbone.kafka.producer import MAX_RECORD_BYTES
from families.schema_registry.http import messages as answers
from families.schema_registry.http.messages import RegistryError
from schemas.avro import compatibility, specification
from schemas.model.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbone.catalog.indexes import RegisteredSchema
    from schemas.model.event_type import Compatibility

MOST_CHARACTERS = 8_000_000
"""Of the schemas that one request compares with."""


async def canonical(text: str) -> str:
    """A schema in Avro's canonical form.

    Raises:
        RegistryError: it is no schema, or larger than any that can be registered.
    """
    if len(text) > MAX_RECORD_BYTES:
        raise RegistryError(answers.INVALID_SCHEMA, f"Invalid schema: more than {MAX_RECORD_BYTES:,} characters")
    return await asyncio.to_thread(_canonical, text)


async def same(versions: Sequence[RegisteredSchema], text: str) -> RegisteredSchema:
    """The version with this schema: the same text if there is one, else the latest that is equal in canonical form.

    Raises:
        RegistryError: there is none.
    """
    for each in reversed(versions):
        if each.text == text:
            return each
    wanted = await canonical(text)
    _check_size([each.text for each in versions])
    for each in reversed(versions):
        if await canonical(each.text) == wanted:
            return each
    raise RegistryError(answers.SCHEMA_NOT_FOUND, "Schema not found")


async def check(text: str, earlier: Sequence[str], level: Compatibility) -> None:
    """``schemas.avro.compatibility.check``.

    Raises:
        RegistryError: there is too much to compare with.
    """
    compared = earlier if level in compatibility.TRANSITIVE else earlier[-1:]
    _check_size(compared)
    await asyncio.to_thread(compatibility.check, text, compared, level)


def _check_size(texts: Sequence[str]) -> None:
    if len(texts) > 1 and sum(map(len, texts)) > MOST_CHARACTERS:
        message = f"The subject's versions have more than {MOST_CHARACTERS:,} characters: compare with one of them"
        raise RegistryError(answers.INVALID_SCHEMA, message)


@functools.lru_cache(maxsize=1_024)
def _canonical(text: str) -> str:
    try:
        return specification.canonical(text)
    except InvalidRequest as error:
        raise RegistryError(answers.INVALID_SCHEMA, f"Invalid schema: {error}") from error
