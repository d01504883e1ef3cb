from __future__ import annotations

import pytest

from schemas.model.access import Client, Role
from schemas.model.errors import PermissionDenied
from schemas.security.permissions import (
    OWN,
    Operation,
    beyond,
    check,
    check_for,
    check_may_grant_roles,
    owner_for,
    permits,
)
from schemas.security.reading import check_has_a_role

ALL = "OAUTH2_global:*"

MAY = {
    Operation.PUBLISH: {"producer"},
    Operation.REGISTER_TYPE: {"producer"},
    Operation.CHANGE_TYPE: set(),
    Operation.REGISTER_PUBLISHER: {"producer"},
    Operation.REGISTER_RECEIVER: {"producer", "subscriber"},
    Operation.CHANGE_REGISTRATION: {"producer", "subscriber"},
    Operation.CHANGE_ROUTES: {"subscriber"},
    Operation.SEND_AGAIN: {"subscriber"},
    Operation.REDACT: set(),
    Operation.OPERATE: set(),
    Operation.LET_IN: {"subscriber"},
    Operation.ISSUE_KEYS: {"key_issuer"},
    Operation.MANAGE_CLIENTS: set(),
    Operation.MANAGE_WORKSPACES: set(),
    Operation.TRANSFER: set(),
}
"""Who may do it to what is their own, besides operators and administrators: the table of docs/security.md."""

FOR_ADMINISTRATORS = {Operation.MANAGE_WORKSPACES, Operation.TRANSFER}
"""What operators may not do either."""


def client(*roles: Role) -> Client:
    return Client(id="c", workspace="w", name="c", roles=roles, created_at=1, updated_at=1)


def test_every_operation_is_in_the_table() -> None:
    assert OWN.keys() == set(Operation) == MAY.keys()


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("operation", list(Operation))
def test_a_role_allows_what_the_table_says(operation: Operation, role: Role) -> None:
    of_the_workspace = role is Role.ADMIN or (role is Role.OPERATOR and operation not in FOR_ADMINISTRATORS)
    if of_the_workspace:
        assert owner_for(client(role), operation) is None
        check_for(client(role), operation, "another")
        return
    with pytest.raises(PermissionDenied):
        check_for(client(role), operation, "another")
    if role.value in MAY[operation]:
        assert owner_for(client(role), operation) == "c"
        check_for(client(role), operation, "c")
    else:
        with pytest.raises(PermissionDenied):
            check(client(role), operation)


def test_without_a_role_nothing_is_allowed() -> None:
    for operation in Operation:
        with pytest.raises(PermissionDenied):
            check(client(), operation)


def test_the_right_to_issue_keys_is_no_role_by_itself() -> None:
    with pytest.raises(PermissionDenied):
        check_has_a_role(client(Role.KEY_ISSUER))
    check_has_a_role(client(Role.KEY_ISSUER, Role.PRODUCER))


def test_nobody_gives_more_than_its_own_role() -> None:
    check_may_grant_roles(client(Role.OPERATOR), [Role.OPERATOR, Role.PRODUCER])
    check_may_grant_roles(client(Role.ADMIN), [Role.ADMIN])
    with pytest.raises(PermissionDenied):
        check_may_grant_roles(client(Role.OPERATOR), [Role.ADMIN])


@pytest.mark.parametrize(
    ("held", "wanted", "permitted"),
    [
        (["event:select"], "event:select", True),
        (["event:select"], "event:*", False),
        (["event:*"], "event:select", True),
        (["event:*"], "event:*", True),
        (["event:*"], "events:select", False),
        ([ALL], "event:*", True),
        (["OAUTH2_client:*"], ALL, False),
        ([], "event:select", False),
    ],
)
def test_a_permission_includes_others(held: list[str], wanted: str, *, permitted: bool) -> None:
    assert permits(held, wanted, everything=ALL) is permitted
    assert beyond(held, [wanted], everything=ALL) == ([] if permitted else [wanted])
