"""A prepared read and the route that it stands in for give one answer, whoever asks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.support.running_gateway import RunningGateway

ELSEWHERE = {"host": "elsewhere.example"}
"""The registry is open on the loopback address, but not under another server's name."""
ROUTE = "/schema-registry/schemas/ids/{schema_id}"
COUNTED = re.compile(rf'requests_total\{{route="{re.escape(ROUTE)}",status="200"\}} (\S+)')


class Asked(NamedTuple):
    """A schema, a key that may read it, and one of another workspace."""

    path: str
    own: str
    other: str


@pytest.fixture(scope="module")
def asked(gateway: RunningGateway) -> Asked:
    workspace = gateway.create_workspace()
    _, own = gateway.create_client(workspace, "producer")
    _, other = gateway.create_client(gateway.create_workspace(), "producer")
    with gateway.client(own) as http:
        registration = {"code": "Order", "attributes": [{"name": "total", "type": "Number"}]}
        topic = http.post("/headrace/v1/registrations", json=registration).raise_for_status().json()["topic"]
        latest = http.get(f"/schema-registry/subjects/{topic}-value/versions/latest").raise_for_status()
    return Asked(f"/schema-registry/schemas/ids/{latest.json()['id']}", own, other)


def both(http: httpx.Client, path: str, headers: dict[str, str] | None = None) -> list[tuple[object, ...]]:
    """The prepared answer, and the route's: a parameter that it does not know is unusual, and makes no difference."""
    found = []
    for query in ("", "?unknown=1"):
        answer = http.get(path + query, headers=headers)
        kept = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
        assert answer.headers["x-request-id"]
        found.append((answer.status_code, answer.content, kept))
    return found


def test_the_answer_is_the_routes(gateway: RunningGateway, asked: Asked) -> None:
    with gateway.client(None) as http:
        prepared, usual = both(http, asked.path)
        assert prepared == usual
        assert prepared[0] == 200
        for query in ("?subject=any", "?fetchMaxId=false&subject=any"):
            assert http.get(asked.path + query).content == prepared[1]
        assert "maxId" in http.get(f"{asked.path}?fetchMaxId=true").json()
        assert "subjects" in http.get(f"{asked.path}?includeSubjects=true").json()


def test_who_may_not_read_it_may_not_here(gateway: RunningGateway, asked: Asked) -> None:
    expected = {None: 401, "wrong": 401, asked.other: 404, asked.own: 200}
    with gateway.client(None) as http:
        for key, status in expected.items():
            credential = {} if key is None else {"authorization": f"Bearer {key}"}
            prepared, usual = both(http, asked.path, ELSEWHERE | credential)
            assert prepared == usual
            assert prepared[0] == status


@pytest.mark.parametrize("number", ["0", "999999999", "9999999999", "-1", "x", "", "%31x", "1/"])
def test_other_paths_are_answered_as_ever(gateway: RunningGateway, number: str) -> None:
    with gateway.client(None) as http:
        prepared, usual = both(http, f"/schema-registry/schemas/ids/{number}")
    assert prepared == usual


def test_a_body_is_still_looked_at(gateway: RunningGateway, asked: Asked) -> None:
    with gateway.client(None) as http:
        assert http.request("GET", asked.path, content=b"\xff").status_code == 400


def test_it_is_counted_under_its_route(gateway: RunningGateway, asked: Asked) -> None:
    with gateway.client(None) as http:

        def counted() -> float:
            found = COUNTED.search(http.get("/metrics").text)
            return 0.0 if found is None else float(found[1])

        before = counted()
        both(http, asked.path)
        assert counted() == before + 2


def test_a_revoked_key_reads_nothing_any_more(gateway: RunningGateway, asked: Asked) -> None:
    with gateway.client() as admin, gateway.client(None) as http:
        body = {"name": "for-a-moment", "roles": ["viewer", "admin"]}
        client = admin.post("/headrace/v1/clients", json=body).raise_for_status().json()["id"]
        made = admin.post(f"/headrace/v1/clients/{client}/keys").raise_for_status().json()
        headers = ELSEWHERE | {"authorization": f"Bearer {made['key']}"}
        assert http.get(asked.path, headers=headers).status_code == 200
        admin.delete(f"/headrace/v1/clients/{client}/keys/{made['id']}").raise_for_status()
        assert http.get(asked.path, headers=headers).status_code == 401
