from __future__ import annotations

import msgspec
import pytest

from backbone.catalog.administrators import check_not_the_last
from backbone.catalog.view import CatalogView
from schemas.model.access import Client, Realm, Role, Workspace
from schemas.model.errors import Conflict

ADMIN = Client(id="a", workspace="w", name="a", roles=(Role.ADMIN,), created_at=0, updated_at=0)


def view_of(*clients: Client) -> CatalogView:
    view = CatalogView()
    for name in ("w", "other"):
        view.put(Workspace(id=name, name=name, created_at=0, updated_at=0), 0)
    for client in clients:
        view.put(client, 0)
    return view


@pytest.mark.parametrize(
    "besides",
    [{"roles": (Role.OPERATOR,)}, {"disabled": True}, {"realm": Realm("crmls")}],
    ids=["role", "state", "realm"],
)
def test_the_last_administrator_stays(besides: dict[str, object]) -> None:
    another = msgspec.structs.replace(ADMIN, id="b", **besides)

    with pytest.raises(Conflict, match="last administrator"):
        check_not_the_last(view_of(ADMIN, another), ADMIN)
    check_not_the_last(view_of(ADMIN, another), another)


def test_one_of_several_may_go() -> None:
    check_not_the_last(view_of(ADMIN, msgspec.structs.replace(ADMIN, id="b", workspace="other")), ADMIN)
