from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from schemas.model import ids


@given(st.lists(st.text(), min_size=1))
def test_a_derived_id_is_the_uuid5_of_its_parts(parts: list[str]) -> None:
    name = "".join(f"{len(part)}:{part}" for part in parts)
    namespace = uuid.UUID("6f0d6c1e-2f7c-5b0e-9a57-3d8f5c2b7a10")
    assert ids.derived(*parts) == str(uuid.uuid5(namespace, name))


def test_parts_do_not_run_into_each_other() -> None:
    assert ids.derived("a", "bc") != ids.derived("ab", "c")


def test_new_ids_are_distinct_uuids_of_version_7_in_order_of_time() -> None:
    made = [ids.new_id(), *ids.new_ids(1_000)]
    assert len(set(made)) == len(made)
    for each in map(uuid.UUID, made):
        assert (each.version, each.variant) == (7, uuid.RFC_4122)
    later = ids.new_id()
    assert max(made)[:13] <= later[:13]


def test_no_ids_are_an_empty_list() -> None:
    assert ids.new_ids(0) == []
