"""Export, import into a fresh installation, export: the same file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import pytest

from backbone.catalog.differences import kind_of
from backbone.catalog.secrets import UNSET
from backbone.catalog.transfer import secrecy
from backbone.catalog.transfer.exporting import exported
from schemas.model.access import ApiKey
from schemas.model.endpoint import Authorization, AuthorizationType, NameValue, RequestTemplate
from schemas.model.errors import Conflict
from schemas.model.event_type import EventType
from schemas.model.resources import Resource
from tests.unit.backbone.catalog.transfer.conftest import KEY_IDS, imported, signing_endpoint

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView

SECRET = "gAAAAAB"  # how a sealed text begins


def comparable(resource: Resource) -> Resource:
    times = {"created_at": 0, "updated_at": 0} | ({"tokens_from": 0} if kind_of(resource) == "client" else {})
    return msgspec.structs.replace(resource, **times)


def test_the_catalog_has_records_of_every_kind_and_of_every_family_that_keeps_some(old: CatalogView) -> None:
    kinds = Counter(kind_of(each) for each in old.resources())
    assert kinds.keys() == {each.__struct_config__.tag for each in Resource.__args__}  # type: ignore[attr-defined]
    families = {each.key.split("/")[1] for each in old.resources() if kind_of(each) == "family_record"}
    assert families >= {"eventhos", "exchange", "envoy", "event-service"}


@pytest.mark.parametrize("sealed", [False, True])
def test_an_import_into_a_fresh_installation_is_exported_as_the_same_file(
    old: CatalogView, fresh: CatalogView, *, sealed: bool
) -> None:
    keys = KEY_IDS if sealed else None
    first = exported(old, None, sealed_with=keys)
    assert first == exported(old.copy(), None, sealed_with=keys)
    imported(fresh, first, prune=True)
    assert exported(fresh, None, sealed_with=keys) == first
    assert (SECRET in first) is sealed
    for each in (one for one in old.resources() if isinstance(one, EventType)):
        there = fresh.event_type(each.topic)
        assert there is not None
        assert there.attributes == each.attributes
        registered = {version.id: version.text for version in fresh.subject_versions(each.subject)}
        current = old.schema(each.schema_id)
        assert current is not None
        assert registered[there.schema_id] == current.text


def test_a_sealed_import_has_everything_that_was_exported_but_times(old: CatalogView, fresh: CatalogView) -> None:
    imported(fresh, exported(old, None, sealed_with=KEY_IDS), prune=True)
    for each in old.resources():
        there = fresh.get(each.key)
        if there is None:
            assert each.key.startswith(
                ("family_record/headrace/", "api_key/", "subscription/", "registration/", "growth/")
            )
        elif kind_of(each) not in {"event_type", "projection"}:
            assert comparable(there) == comparable(each)


def test_the_same_again_changes_nothing(old: CatalogView) -> None:
    before = {each.key: each for each in old.resources()}
    for keys in (None, KEY_IDS):
        planned = imported(old, exported(old, None, sealed_with=keys), prune=True)
        assert (planned.put, planned.delete, planned.schemas, planned.missing) == ([], [], [], [])
        assert planned.unchanged > 0
    assert {each.key: each for each in old.resources()} == before


def test_a_workspace_is_exported_alone(old: CatalogView, fresh: CatalogView) -> None:
    names = {each.name for each in old.workspaces()}
    assert len(names) > 1
    for name in names:
        text = exported(old, name, sealed_with=None)
        assert all(each not in text for each in names - {name, "default"})
        assert imported(fresh, text, workspace=name).put
        assert exported(fresh, name, sealed_with=None).count("\n- ") >= text.count("\n- ")


def test_secrets_that_were_left_out_are_listed_and_stay_to_be_set(old: CatalogView, fresh: CatalogView) -> None:
    endpoint = signing_endpoint(old)
    endpoint = msgspec.structs.replace(
        endpoint,
        sealed_headers={"X-Token": "sealed"},
        authorization=Authorization(
            type=AuthorizationType.REFRESH_TOKEN,
            refresh_token="sealed",
            parameters=(NameValue(name="p", value="sealed", sealed=True), NameValue(name="q", value="plain")),
        ),
        request=RequestTemplate(headers=(NameValue(name="H", value="sealed", sealed=True),)),
    )
    old.put(endpoint, 1)
    planned = imported(fresh, exported(old, None, sealed_with=None))
    places = ["headers.x-token", "authorization.refresh_token", "authorization.parameters.p", "request.headers.H"]
    told = {each.what for each in planned.missing if each.name.id == endpoint.id}
    assert told == {*places, "signing_secrets"}
    assert any(each.what == "api_key" for each in planned.missing)
    there = fresh.endpoint(endpoint.id)
    assert there is not None
    assert {token for _, token in secrecy.tokens(there)} == {UNSET}
    assert there.signing_secrets

    changed = imported(old, exported(fresh, None, sealed_with=None))
    assert old.endpoint(endpoint.id) == endpoint, "an import without secrets keeps those that are there"
    assert [each.name.id for each in changed.missing] == ["boot"]


def test_a_file_sealed_with_other_keys_is_refused(old: CatalogView, fresh: CatalogView) -> None:
    text = exported(old, None, sealed_with=KEY_IDS)
    before = fresh.resources()
    with pytest.raises(Conflict, match="other HEADRACE_SECRET_KEYS"):
        imported(fresh, text, keys=["another secret key that is long enough"])
    assert fresh.resources() == before


def test_api_keys_are_in_a_sealed_file_but_not_that_of_the_first_administrator(
    old: CatalogView, fresh: CatalogView
) -> None:
    imported(fresh, exported(old, None, sealed_with=KEY_IDS))
    key = next(each for each in old.resources() if isinstance(each, ApiKey) and each.id in str(fresh.resources()))
    assert fresh.api_key_by_digest(key.digest) is not None
    assert "api_keys" not in exported(old, None, sealed_with=None)


def test_credentials_in_a_url_are_left_out_and_kept_where_they_are(old: CatalogView, fresh: CatalogView) -> None:
    endpoint = msgspec.structs.replace(signing_endpoint(old), url="http://user:s3cret@127.0.0.1:8080/hook?a=b")
    old.put(endpoint, 9)
    text = exported(old, None, sealed_with=None)
    assert "s3cret" not in text
    planned = imported(fresh, text)
    assert "credentials in http://hidden@127.0.0.1:8080/hook?a=b" in {each.what for each in planned.missing}
    assert exported(fresh, None, sealed_with=None).count("http://hidden@127.0.0.1:8080/hook?a=b") == 1
    assert not imported(old, text).put
    there = old.endpoint(endpoint.id)
    assert there is not None
    assert there.url == endpoint.url
