from __future__ import annotations

import json

import pytest

from backbone.catalog.indexes import RegisteredSchema
from families.schema_registry.http.comparisons import MOST_CHARACTERS, canonical, check, same
from families.schema_registry.http.messages import RegistryError
from schemas.model.event_type import Compatibility


def record(name: str, doc: str = "") -> str:
    return json.dumps({"type": "record", "name": name, "doc": doc, "fields": []})


async def test_the_latest_equal_schema_is_found_by_its_text_or_its_form() -> None:
    versions = [RegisteredSchema(n, "s", n, record(name)) for n, name in enumerate(("A", "B", "A"), 1)]
    assert (await same(versions, record("B"))).version == 2
    assert (await same(versions, record("A", "said otherwise"))).version == 3
    with pytest.raises(RegistryError, match="not found"):
        await same(versions, record("C"))


async def test_what_a_request_compares_is_bounded() -> None:
    with pytest.raises(RegistryError, match="more than 1,000,000 characters"):
        await canonical(record("A", "x" * 1_000_000))
    texts = [record("A", "x" * (MOST_CHARACTERS // 2))] * 3
    with pytest.raises(RegistryError, match="compare with one of them"):
        await check(record("A"), texts, Compatibility.BACKWARD_TRANSITIVE)
    await check(record("A"), texts, Compatibility.BACKWARD)
    versions = [RegisteredSchema(n, "s", n, text) for n, text in enumerate(texts, 1)]
    with pytest.raises(RegistryError, match="compare with one of them"):
        await same(versions, record("B"))
