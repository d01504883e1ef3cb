from __future__ import annotations

import pytest

from families.envoy.http.access import check_may_manage, check_may_provision
from families.envoy.model import Grants
from families.envoy.settings import EnvoySettings
from schemas.model.access import Client, Realm
from schemas.model.errors import PermissionDenied


def user(*scopes: str) -> Client:
    return Client(
        id="usr_1", workspace="org_1", name="n", realm=Realm("envoy"), scopes=scopes, created_at=1, updated_at=1
    )


def test_the_endings_of_scopes_are_settings() -> None:
    settings = EnvoySettings(scope_suffix=".view", user_scope_suffix=".view.mine")

    grants = Grants.of(user("a.view", "b.view.mine", "c:read", ".view", "a.view"), settings)

    assert grants == Grants(organisation=("a",), own=("b",))


def test_connecting_subscribes_to_no_more_than_a_connection_may_have() -> None:
    many = [f"n{number}:read" for number in range(200)]
    someone = user("x" * 300 + ":read", *many)

    channels = Grants.of(someone, EnvoySettings()).automatic(someone)

    assert channels == [f"n{number}:org_1" for number in range(128)]


@pytest.mark.parametrize(
    ("channel", "allowed"),
    [
        ("a:org_1", True),
        ("a:org_1#usr_1", True),
        ("b:org_1", False),
        ("b:org_1#usr_1", True),
        ("c:org_1", True),
        ("c:org_1#usr_1", False),
        ("d:org_1", False),
        ("a:org_2", False),
        ("a:org_1#usr_2", False),
    ],
)
def test_scopes_and_public_namespaces_let_join(channel: str, allowed: bool) -> None:  # noqa: FBT001  # a column
    grants = Grants(organisation=("a",), own=("b",))

    if allowed:
        grants.check(user(), channel, ["c"])
    else:
        with pytest.raises(PermissionDenied):
            grants.check(user(), channel, ["c"])


def test_provisioning_may_need_a_scope() -> None:
    check_may_provision(user(), EnvoySettings())
    settings = EnvoySettings(provision_scope="events:manage")
    check_may_provision(user("events:manage"), settings)
    with pytest.raises(PermissionDenied, match="events:manage"):
        check_may_provision(user("shipments:read"), settings)


def test_managing_needs_a_scope_unless_a_setting_says_otherwise() -> None:
    check_may_manage(user("events:manage"), EnvoySettings())
    check_may_provision(user("events:manage"), EnvoySettings(provision_scope="p"))
    check_may_manage(user("p"), EnvoySettings(provision_scope="p"))
    check_may_manage(user("own"), EnvoySettings(manage_scope="own"))
    check_may_manage(user(), EnvoySettings(manage_scope="*"))
    for scopes, settings in (
        (("shipments:read",), EnvoySettings()),
        ((), EnvoySettings()),
        (("events:manage",), EnvoySettings(manage_scope="own")),
        (("*",), EnvoySettings(manage_scope="*", provision_scope="p")),
    ):
        with pytest.raises(PermissionDenied, match="scope"):
            check_may_manage(user(*scopes), settings)
