"""Files that are refused, with the place, and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backbone.catalog.accounts import ADMIN_KEY_ID
from backbone.catalog.authenticity import Authenticity
from backbone.catalog.macs import MacKeys
from backbone.catalog.secrets import SecretBox
from backbone.catalog.transfer import yaml_text
from backbone.catalog.transfer.document import read
from backbone.catalog.transfer.exporting import exported
from backbone.catalog.transfer.importing import Transfer
from backbone.catalog.transfer.plan import Scope
from families.eventhos.catalog.records import Action, all_of
from schemas.model.access import ApiKey
from schemas.model.endpoint import Subscription
from schemas.model.errors import Conflict, InvalidRequest, MalformedBody
from tests.support.local_gateway import DirectWriter
from tests.support.running_gateway import SECRET_KEYS
from tests.unit.backbone.catalog.transfer.conftest import KEY_IDS, imported, signing_endpoint

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView

HEAD = "headrace: 1\n"
WORKSPACE = "workspaces: [{id: w, name: acme}]\n"
ROLE = (
    "{family: eventhos, collection: role, id: '9', workspace: default, "
    "content: {id: 1, identifier: r, created_at: 1, updated_at: 1}}"
)


def places(view: CatalogView, text: str, workspace: str | None = None) -> dict[str, str]:
    """The places that a refusal names; the view is as before."""
    before = {each.key: each for each in view.resources()}
    with pytest.raises(InvalidRequest) as refused:
        imported(view, text, workspace=workspace)
    assert {each.key: each for each in view.resources()} == before
    return {each.path: each.message for each in refused.value.problems}


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("a: [1, 2\n", "line 2, column 1", "did not find expected"),
        ("a: &x 1\nb: *x\n", "line 1, column 4", "anchor"),
        ("a: *x\n", "line 1, column 4", "alias"),
        ("a: !!python/object:os.system {}\n", "line 1, column 4", "tag"),
        ("a: 1\na: 2\n", "line 2, column 1", "twice"),
        ("? [a]\n: 1\n", "line 1, column 3", "must be a name"),
        ("- " * 60 + "x", "line 1, column 101", "deeper"),
        ("\x01", "$", "control characters"),
    ],
)
def test_what_is_no_yaml_or_more_than_is_needed(text: str, place: str, told: str) -> None:
    with pytest.raises(MalformedBody) as refused:
        yaml_text.load(text.encode())
    (problem,) = refused.value.problems
    assert (problem.path, told in problem.message) == (place, True), problem


@pytest.mark.parametrize("text", [b"\xff", b"a: 999999999999999999999999:99", b"- " * 100_000, b"[" * 100_000])
def test_odd_bytes_are_refused_in_words(text: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read(text)


@pytest.mark.parametrize("text", ["a: 2026-01-01", "a: 2026-01-01T00:00:00Z"])
def test_what_looks_like_a_time_stays_a_text(text: str) -> None:
    assert yaml_text.load(text.encode()) == {"a": text[3:]}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[]", "$"),
        ("headrace: 2", "$.headrace"),
        (HEAD + "gizmos: []", "$.gizmos"),
        (HEAD + "secrets: maybe", "$.secrets"),
        (HEAD + "clients: {}", "$.clients"),
        (HEAD + "clients: [1]", "$.clients[0]"),
        (HEAD + "clients: [{id: c, workspace: default}]", "$.clients[0]"),
        (HEAD + "clients: [{id: c, workspace: default, name: n, roles: [king]}]", "$.clients[0].roles[0]"),
        (HEAD + "clients: [{id: c, workspace: default, name: n, color: red}]", "$.clients[0].color"),
        (HEAD + "clients: [{id: c, workspace: default, name: n, created_at: 1}]", "$.clients[0].created_at"),
        (HEAD + "clients: [{id: a/b, workspace: default, name: n}]", "$.clients[0].id"),
        (HEAD + "clients: [{id: c, workspace: nowhere, name: n}]", "$.clients[0].workspace"),
        (HEAD + 2 * "" + "clients: [" + 2 * "{id: c, workspace: default, name: n}," + "]", "$.clients[1]"),
        (HEAD + "api_keys: [{}]", "$.api_keys"),
        (HEAD + "workspaces: [{id: w, name: ' '}]", "$.workspaces[0].name"),
        (HEAD + "workspaces: [{id: of-the-fresh-one, name: acme}]", "$.workspaces[0].id"),
        (
            HEAD + "subscriptions: [{id: s, workspace: default, event_filter: f, endpoint: e, since: soon}]",
            "$.subscriptions[0].since",
        ),
        (
            HEAD + "subscriptions: [{id: s, workspace: default, event_filter: f, endpoint: e}]",
            "$.subscriptions[0].endpoint",
        ),
        (
            HEAD + "endpoints: [{id: e, workspace: default, name: n, type: WEB_HOOK, url: 'http://10.0.0.1/'}]",
            "$.endpoints[0].url",
        ),
        (
            HEAD + "endpoints: [{id: e, workspace: default, name: n, type: FILE, signing_secrets: [plain]}]",
            "$.endpoints[0].signing_secrets",
        ),
        (
            HEAD + "filters: [{id: f, workspace: default, name: n, version: 2, types: [{namespace: a, code: b}], "
            "condition: '{'}]",
            "$.filters[0]",
        ),
        (
            HEAD + "event_types: [{workspace: default, namespace: n, code: c, effective_partitions: 0}]",
            "$.event_types[0].partitions",
        ),
        (
            HEAD
            + "event_types: [{workspace: default, namespace: n, code: c, effective_partitions: 1, schemas: ['{']}]",
            "$.event_types[0].schemas[0]",
        ),
        (HEAD + "endpoints: [{id: ../x, workspace: default, name: n, type: FILE}]", "$.endpoints[0].id"),
        (HEAD + "endpoints: [{id: '', workspace: default, name: n, type: FILE}]", "$.endpoints[0].id"),
        (
            HEAD + "endpoints: [{id: e, workspace: default, name: n, type: FILE, method: 'GET /'}]",
            "$.endpoints[0].method",
        ),
        (
            HEAD + 'endpoints: [{id: e, workspace: default, name: n, type: FILE, headers: {X: "a\\r\\nY: b"}}]',
            "$.endpoints[0].headers",
        ),
        (HEAD + "clients: [{id: c, workspace: default, name: n, quota: {events: 0}}]", "$.clients[0].quota.events"),
        (HEAD + "workspaces: [{id: w, name: acme, quota: {bytes: -1}}]", "$.workspaces[0].quota.bytes"),
        (
            HEAD + "registrations: [{client: boot, workspace: default, namespace: n, code: c}]",
            "$.registrations[0].code",
        ),
        (
            HEAD + "projections: [{endpoint: e, workspace: default, topic: t, namespace: n, code: c, current: 1, "
            "versions: [{number: 1, expression: '('}]}]",
            "$.projections[0].versions[0].expression",
        ),
    ],
)
def test_a_refusal_names_the_place(fresh: CatalogView, text: str, place: str) -> None:
    found = places(fresh, text)
    assert place in found or any(each.startswith(place) for each in found), found


def test_an_id_of_another_workspace_is_refused(old: CatalogView) -> None:
    endpoint = signing_endpoint(old)
    other = next(each.name for each in old.workspaces() if each.name != endpoint.workspace)
    text = f"{HEAD}endpoints: [{{id: {endpoint.id}, workspace: {other}, name: n, type: FILE}}]"
    assert "of another workspace" in places(old, text)["$.endpoints[0]"]
    outside = f"{HEAD}clients: [{{id: c, workspace: {other}, name: n}}]"
    assert "belongs to another workspace" in places(old, outside, endpoint.workspace)["$.clients[0]"]


def test_nobody_becomes_another_client(fresh: CatalogView) -> None:
    text = HEAD + "clients: [{id: thief, workspace: default, name: n, identity: boot}]"
    assert "of another client" in places(fresh, text)["$.clients[0].identity"]


def test_subscriptions_that_would_lose_an_end_are_listed(old: CatalogView) -> None:
    link = next(each for each in old.resources() if isinstance(each, Subscription))
    before = old.resources()
    with pytest.raises(Conflict, match=f"{link.id} .*Nothing was changed"):
        imported(old, HEAD + "endpoints: []", workspace=link.workspace, prune=True)
    assert old.resources() == before
    planned = imported(old, HEAD + "endpoints: []\nsubscriptions: []", workspace=link.workspace, prune=True)
    assert link.key in planned.delete
    assert old.endpoints(link.workspace) == ()


def test_pruning_deletes_only_kinds_that_have_a_section(old: CatalogView) -> None:
    endpoint = signing_endpoint(old)
    clients = old.clients(endpoint.workspace)
    assert imported(old, HEAD, workspace=endpoint.workspace, prune=True).delete == []
    planned = imported(old, HEAD + "projections: []", workspace=endpoint.workspace, prune=True)
    assert [each.split("/")[0] for each in planned.delete] == ["projection"]
    assert old.clients(endpoint.workspace) == clients


def test_somebody_has_to_administer(fresh: CatalogView) -> None:
    with pytest.raises(Conflict, match="nobody who administers"):
        imported(fresh, HEAD + "clients: []", prune=True)
    text = HEAD + "clients: [{id: boot, identity: boot, workspace: default, name: admin, roles: [viewer]}]"
    with pytest.raises(Conflict, match="nobody who administers"):
        imported(fresh, text)


def test_a_client_of_an_earlier_release_keeps_its_keys_when_it_gets_another_record_key(fresh: CatalogView) -> None:
    key = ApiKey(id=ADMIN_KEY_ID, client="boot", workspace="default", digest="d", hint="h", created_at=1, updated_at=1)
    fresh.put(key, 1)
    text = HEAD + "clients: [{id: boot, workspace: default, name: admin, roles: [admin]}]\napi_keys: []\n"
    planned = imported(fresh, text.replace("1\n", "1\nsecrets: sealed\n", 1), prune=True)
    assert planned.delete == ["client/default/boot"]
    assert fresh.get("client/boot") == fresh.client("default", "boot")
    assert fresh.api_key_by_digest("d") == key
    assert imported(fresh, text.replace("1\n", "1\nsecrets: sealed\n", 1), prune=True).put == []


def test_a_secret_that_cannot_be_decrypted_is_refused(fresh: CatalogView) -> None:
    text = (
        f"{HEAD}secrets: sealed\nsealed_with: [{KEY_IDS[0]}]\n"
        "endpoints: [{id: e, workspace: default, name: n, type: FILE, signing_secrets: [forged]}]"
    )
    assert "cannot be decrypted" in places(fresh, text)["$.endpoints[0].signing_secrets"]


def test_settings_that_never_change_are_refused(old: CatalogView) -> None:
    text = exported(old, None, sealed_with=None).replace("effective_partitions: 4", "effective_partitions: 3")
    assert all("effective_partitions" in place for place in places(old, text))


def test_an_attribute_that_is_added_by_hand_makes_a_schema(fresh: CatalogView) -> None:
    text = f"{HEAD}event_types:\n- {{workspace: default, namespace: n, code: c, effective_partitions: 1, declared: %s}}"
    planned = imported(fresh, text % "[{name: a, type: String}]")
    assert [each.code for each in planned.new_types] == ["c"]
    planned = imported(fresh, text % "[{name: a, type: String}, {name: b, type: Number}]")
    (event_type,) = fresh.event_types("default")
    assert [each.name for each in event_type.attributes] == ["a", "b"]
    assert len(fresh.subject_versions(event_type.subject)) == 2
    assert {each.name for each in planned.differences[0].fields} == {"declared", "attributes", "schema_id"}


def test_what_a_familys_record_stands_for_is_not_pruned_without_it(old: CatalogView) -> None:
    (action, *_) = all_of(old, Action)
    catalog: Any = type("Catalog", (), {"view": old})
    transfer = Transfer(catalog, DirectWriter(old), None, SecretBox([SECRET_KEYS]))  # type: ignore[arg-type]
    scope = Scope(workspace=None, prune=True)
    without = read(f"{HEAD}endpoints: []\nsubscriptions: []\nprojections: []\n".encode())
    with pytest.raises(Conflict, match=f"eventhos' action {action.id}"):
        transfer._planned(old, without, scope, {})
    both = read(f"{HEAD}endpoints: []\nsubscriptions: []\nprojections: []\nfamily_records: []\n".encode())
    assert transfer._planned(old, both, scope, {}).delete


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ("{family: eventhos, collection: action, id: x, workspace: default, content: {id: one}}", "content"),
        (ROLE, "id"),
        ("{family: exchange, collection: definition, id: x, workspace: default, content: {roles: 1}}", "content"),
        ("{family: envoy, collection: organisation, id: x, workspace: default, content: {a: 1}}", "content"),
    ],
)
def test_a_record_that_its_family_could_not_read_is_refused(old: CatalogView, record: str, place: str) -> None:
    catalog: Any = type("Catalog", (), {"view": old, "authenticity": Authenticity(MacKeys([SECRET_KEYS]))})
    transfer = Transfer(catalog, DirectWriter(old), None, SecretBox([SECRET_KEYS]))  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest) as refused:
        transfer._check(read(f"{HEAD}family_records: [{record}]".encode()))
    assert [each.path for each in refused.value.problems] == [f"$.family_records[0].{place}"]


def test_the_records_of_all_families_can_be_read(old: CatalogView) -> None:
    catalog: Any = type("Catalog", (), {"view": old, "authenticity": Authenticity(MacKeys([SECRET_KEYS]))})
    transfer = Transfer(catalog, DirectWriter(old), None, SecretBox([SECRET_KEYS]))  # type: ignore[arg-type]
    transfer._check(read(exported(old, None, sealed_with=None).encode()))
