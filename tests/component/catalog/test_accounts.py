from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from backbone.catalog.accounts import ADMIN_CLIENT, Accounts
from backbone.catalog.secrets import SecretBox
from backbone.catalog.subscriptions import Routes
from backbone.catalog.writer import Changes
from families.envoy.catalog.organisations import Organisations, is_provisioned
from schemas.model.access import DEFAULT_WORKSPACE, KeyUse, Realm, Role
from schemas.model.endpoint import Endpoint, EndpointType, RequestTemplate
from schemas.model.errors import AlreadyExists, Conflict, InvalidRequest, Misconfigured, NotFound
from schemas.model.ids import new_id
from tests.support.running_gateway import ADMIN_KEY, SECRET_KEYS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backbone.catalog.view import CatalogView
    from tests.component.catalog.conftest import Node, NodeFactory

OLD, NEW = "an-old-secret-key", "a-new-secret-key!"


@pytest.fixture
def accounts(node: Node) -> Accounts:
    return Accounts(node.catalog, node.writer, SecretBox([OLD]))


async def test_creating_a_workspace_twice_gives_the_same_one(accounts: Accounts, unique: str) -> None:
    assert await accounts.create_workspace(unique) == await accounts.create_workspace(unique)


@pytest.mark.parametrize("name", ["", "x" * 65, " x", "a\nb"])
async def test_a_workspace_needs_a_proper_name(accounts: Accounts, name: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await accounts.create_workspace(name)
    assert raised.value.problems[0].path == "$.name"


async def test_a_clients_name_belongs_to_one_in_its_workspace_and_realm(accounts: Accounts, unique: str) -> None:
    await accounts.create_workspace(unique)
    client = await accounts.create_client(unique, "shop", roles=[Role.PRODUCER])
    assert await accounts.create_client(unique, "shop", roles=[Role.PRODUCER]) == client
    with pytest.raises(AlreadyExists):
        await accounts.create_client(unique, "shop", roles=[Role.OPERATOR])
    with pytest.raises(AlreadyExists):
        await accounts.create_client(unique, "shop", roles=[Role.PRODUCER], id=new_id())
    crmls = await accounts.create_client(unique, "shop", roles=[Role.PRODUCER], realm=Realm("crmls"))
    assert crmls.id != client.id
    with pytest.raises(NotFound):
        await accounts.create_client(f"{unique}-other", "shop")


async def test_an_id_of_an_outside_system_is_kept(accounts: Accounts, unique: str) -> None:
    await accounts.create_workspace(unique)
    outside = new_id()
    assert (await accounts.create_client(unique, "shop", id=outside)).id == outside
    assert (await accounts.create_client(unique, "shop", id=outside)).id == outside
    with pytest.raises(AlreadyExists):
        await accounts.create_client(unique, "another", id=outside)


async def test_an_issued_key_is_found_by_its_hash_until_it_is_revoked(
    accounts: Accounts, node: Node, unique: str
) -> None:
    await accounts.create_workspace(unique)
    client = await accounts.create_client(unique, "shop")
    key, plaintext = await accounts.issue_key(unique, client.id)
    digest = SecretBox([OLD]).digest(plaintext)
    assert node.catalog.view.api_key_by_digest(digest) == key
    assert plaintext not in repr(key)
    assert key.hint == plaintext[-4:]
    await accounts.revoke(key.id)
    assert node.catalog.view.api_key_by_digest(digest) is None
    with pytest.raises(NotFound):
        await accounts.revoke(key.id)


async def test_a_given_key_belongs_to_one_client(accounts: Accounts, unique: str) -> None:
    await accounts.create_workspace(unique)
    one, two = [await accounts.create_client(unique, name) for name in ("one", "two")]
    given = f"given-{unique}"
    key, plaintext = await accounts.issue_key(unique, one.id, given)
    assert plaintext == given
    assert (await accounts.issue_key(unique, one.id, given))[0] == key
    with pytest.raises(AlreadyExists):
        await accounts.issue_key(unique, two.id, given)
    with pytest.raises(InvalidRequest):
        await accounts.issue_key(unique, one.id, "short")


async def test_a_key_hashed_before_a_rotation_is_still_known(accounts: Accounts, node: Node, unique: str) -> None:
    await accounts.create_workspace(unique)
    client = await accounts.create_client(unique, "shop")
    key, plaintext = await accounts.issue_key(unique, client.id)

    rotated = SecretBox([NEW, OLD])
    after = Accounts(node.catalog, node.writer, rotated)
    found = [node.catalog.view.api_key_by_digest(each) for each in rotated.digests(plaintext)]
    assert found == [None, key]
    assert (await after.issue_key(unique, client.id, plaintext))[0] == key
    fresh, _ = await after.issue_key(unique, client.id)
    assert fresh.digest not in {key.digest, None}


async def test_deleting_a_client_deletes_its_keys(accounts: Accounts, node: Node, unique: str) -> None:
    await accounts.create_workspace(unique)
    client = await accounts.create_client(unique, "shop")
    key, _ = await accounts.issue_key(unique, client.id)
    with pytest.raises(Conflict, match="1 clients"):
        await accounts.delete_workspace(unique)
    await accounts.delete_client(unique, client.id)
    assert node.catalog.view.client(unique, client.id) is None
    assert node.catalog.view.api_key(key.id) is None
    await accounts.delete_workspace(unique)
    assert node.catalog.view.workspace(unique) is None


async def test_a_workspace_of_the_same_name_is_not_provisioned_by_the_one_before(
    accounts: Accounts, node: Node, unique: str
) -> None:
    await accounts.create_workspace(unique)
    await Organisations(node.writer).provision(unique, ["news"])
    view = node.catalog.view
    routes = [each.key for each in (*view.endpoints(unique), *view.event_filters(unique))]
    await node.writer.write(lambda _: Changes(delete=routes, result=None))

    await accounts.delete_workspace(unique)
    await accounts.create_workspace(unique)

    assert not is_provisioned(view, unique)


async def test_deprovisioning_leaves_the_actions_of_eventhos(accounts: Accounts, node: Node, unique: str) -> None:
    await accounts.create_workspace(unique)
    routes, organisations = Routes(node.catalog, node.writer, SecretBox([OLD])), Organisations(node.writer)
    plain = Endpoint(
        id="",
        workspace=unique,
        name="receiver",
        type=EndpointType.WEB_HOOK,
        url="https://example.org/hook",
        options={"organisation": unique},
        created_at=0,
        updated_at=0,
    )
    hook, _ = await routes.create_endpoint(plain)
    action, _ = await routes.create_endpoint(msgspec.structs.replace(plain, request=RequestTemplate()))
    await organisations.provision(unique)

    assert (await organisations.deprovision(unique)).webhooks == 1

    assert node.catalog.view.endpoint(hook.id) is None
    assert node.catalog.view.endpoint(action.id) == action


async def test_a_client_can_be_disabled(accounts: Accounts, unique: str) -> None:
    await accounts.create_workspace(unique)
    client = await accounts.create_client(unique, "shop", roles=[Role.PRODUCER])
    changed = await accounts.update_client(unique, client.id, disabled=True)
    assert changed.disabled
    assert changed.roles == client.roles
    assert await accounts.update_client(unique, client.id, disabled=True) == changed


@pytest.fixture
async def administrator_put_back(node: Node) -> AsyncIterator[None]:
    """What a test does to the administrator, whom other tests of the session use, is undone."""
    yield
    box = SecretBox([SECRET_KEYS, NEW])
    await _seal_mark(node, box)
    await Accounts(node.catalog, node.writer, box).bootstrap(ADMIN_KEY)


async def _seal_mark(node: Node, box: SecretBox) -> None:
    """As ``headrace reseal`` does."""

    def decide(view: CatalogView) -> Changes[None]:
        (key,) = view.api_keys(DEFAULT_WORKSPACE, ADMIN_CLIENT)
        return Changes(put=[msgspec.structs.replace(key, sealed=box.resealed(key.sealed or ""))], result=None)

    await node.writer.write(decide)


@pytest.mark.usefixtures("administrator_put_back")
async def test_bootstrap_is_done_once_and_follows_a_change_of_the_admin_key(
    node_factory: NodeFactory, unique: str
) -> None:
    box = SecretBox([SECRET_KEYS])
    one, two = await node_factory(), await node_factory()
    first = await Accounts(one.catalog, one.writer, box).bootstrap(f"first-{unique}")
    assert (first.id, first.roles) == (ADMIN_CLIENT, (Role.ADMIN,))
    assert one.catalog.view.workspace(DEFAULT_WORKSPACE) is not None

    version = one.catalog.view.version
    assert await Accounts(two.catalog, two.writer, box).bootstrap(f"first-{unique}") == first
    await one.catalog.caught_up()
    assert one.catalog.view.version == version

    await Accounts(two.catalog, two.writer, box).bootstrap(f"second-{unique}")
    found = await one.catalog.lookup(lambda view: view.api_key_by_digest(box.digest(f"second-{unique}")))
    assert found is not None
    assert found.client == ADMIN_CLIENT
    assert one.catalog.view.api_key_by_digest(box.digest(f"first-{unique}")) is None


@pytest.mark.usefixtures("administrator_put_back")
async def test_who_has_other_secret_keys_changes_nothing(node: Node, unique: str) -> None:
    await Accounts(node.catalog, node.writer, SecretBox([SECRET_KEYS])).bootstrap(f"first-{unique}")
    version = node.catalog.view.version

    with pytest.raises(Misconfigured, match="HEADRACE_SECRET_KEYS lacks the key"):
        await Accounts(node.catalog, node.writer, SecretBox([OLD])).bootstrap(f"second-{unique}")

    assert node.catalog.view.version == version


@pytest.mark.usefixtures("administrator_put_back")
async def test_the_admin_key_stays_known_to_planes_with_fewer_secret_keys_while_they_are_rotated(
    node: Node, unique: str
) -> None:
    admin_key = f"admin-{unique}"

    async def digest_after(*keys: str) -> str:
        await Accounts(node.catalog, node.writer, SecretBox(keys)).bootstrap(admin_key)
        (found,) = [each.digest for each in node.catalog.view.api_keys(DEFAULT_WORKSPACE, ADMIN_CLIENT)]
        return found

    old, new = SecretBox([SECRET_KEYS]).digest(admin_key), SecretBox([NEW]).digest(admin_key)
    assert await digest_after(SECRET_KEYS) == old
    assert await digest_after(NEW, SECRET_KEYS) == old
    with pytest.raises(Misconfigured):
        await digest_after(NEW)
    await _seal_mark(node, SecretBox([NEW, SECRET_KEYS]))
    assert await digest_after(NEW) == new


async def test_a_key_for_another_use_can_be_shown_again_where_it_is_sealed(accounts: Accounts, unique: str) -> None:
    await accounts.create_workspace(unique)
    client = await accounts.create_client(unique, "shop")
    key, plaintext = await accounts.issue_key(unique, client.id, use=KeyUse.BROWSER, sealed=True)
    assert key.use is KeyUse.BROWSER
    assert key.sealed is not None
    assert SecretBox([OLD]).open(key.sealed) == plaintext
    with pytest.raises(AlreadyExists):
        await accounts.issue_key(unique, client.id, plaintext)
