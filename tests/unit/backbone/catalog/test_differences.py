"""How versions of resources differ, and that no secret is told."""

from __future__ import annotations

import msgspec

from backbone.catalog.differences import field_changes, named
from schemas.model.access import ApiKey, Client, Role
from schemas.model.audit import FieldChange
from schemas.model.endpoint import Authorization, AuthorizationType, Endpoint, EndpointType
from schemas.model.family_record import FamilyRecord
from schemas.model.resources import Resource

CLIENT = Client(id="c", workspace="w", identity="u", name="Shop", roles=(Role.PRODUCER,), created_at=1, updated_at=1)
ENDPOINT = Endpoint(
    id="e",
    workspace="w",
    name="billing",
    type=EndpointType.WEB_HOOK,
    url="https://example.com/s3cret",
    headers={"X": "s3cret"},
    sealed_headers={"Authorization": "s3cret"},
    signing_secrets=("s3cret",),
    authorization=Authorization(type=AuthorizationType.API_KEY, secret="s3cret"),
    options={"o": "s3cret"},
    created_at=1,
    updated_at=1,
)
KEY = ApiKey(
    id="k", client="c", workspace="w", digest="s3cret", hint="abcd", sealed="s3cret", created_at=1, updated_at=1
)
RECORD = FamilyRecord(
    family="f", collection="c", id="r", workspace="w", content={"a": "s3cret"}, created_at=1, updated_at=1
)


def test_a_change_names_the_fields_with_both_values() -> None:
    changed = msgspec.structs.replace(CLIENT, roles=(Role.ADMIN,), disabled=True, updated_at=9)
    assert field_changes(CLIENT, changed) == (
        FieldChange(name="roles", before=["producer"], after=["admin"]),
        FieldChange(name="disabled", before=False, after=True),
    )


def test_of_a_new_resource_what_is_set_is_told_but_not_its_identity() -> None:
    told = {each.name: each.after for each in field_changes(None, CLIENT)}
    assert told == {"name": "Shop", "roles": ["producer"]}


def test_no_secret_is_told_of_any_kind_of_resource() -> None:
    for resource in (ENDPOINT, KEY, RECORD):
        told = msgspec.json.encode(field_changes(None, resource)).decode()
        assert "s3cret" not in told
    names = {each.name for each in field_changes(None, ENDPOINT)}
    assert {"url", "headers", "sealed_headers", "signing_secrets", "authorization", "options"} <= names


def test_a_changed_secret_is_named_without_values() -> None:
    rotated = msgspec.structs.replace(ENDPOINT, signing_secrets=("other",))
    assert field_changes(ENDPOINT, rotated) == (FieldChange(name="signing_secrets"),)


def test_long_values_are_cut_off() -> None:
    changed = msgspec.structs.replace(CLIENT, description="x" * 2_000, scopes=("y" * 2_000,))
    assert [len(str(each.after)) for each in field_changes(CLIENT, changed)] == [501, 501]


def test_every_kind_of_resource_has_a_name() -> None:
    assert named(CLIENT) == ("client", "c", "Shop", "w")
    assert named(RECORD) == ("family_record", "f/c/r", "", "w")
    for kind in Resource.__args__:  # type: ignore[attr-defined]  # of a union
        assert kind.__struct_config__.tag
