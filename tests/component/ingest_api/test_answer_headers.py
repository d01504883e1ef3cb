"""Headers that keep answers out of caches, and pages out of others' frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.running_gateway import RunningGateway


def test_answers_with_secrets_are_not_stored(gateway: RunningGateway) -> None:
    workspace = gateway.create_workspace()
    with gateway.client(params={"workspace": workspace}) as admin:
        body = {"name": "anybody", "roles": ["producer"]}
        client = admin.post("/headrace/v1/clients", json=body).raise_for_status().json()["id"]
        hook = {"name": "hook", "url": "https://example.org/"}
        answers = [
            admin.post(f"/headrace/v1/clients/{client}/keys"),
            admin.post("/headrace/v1/endpoints", json=hook),
            admin.get("/headrace/v1/clients"),
            admin.get("/headrace/v1/nothing"),
        ]
    assert [answer.headers["cache-control"] for answer in answers] == ["no-store"] * len(answers)


@pytest.mark.parametrize("path", ["/docs/swagger/index.html", "/event-service/graphql"])
def test_pages_are_in_no_frame_and_run_our_scripts_only(gateway: RunningGateway, path: str) -> None:
    with gateway.client(None) as http:
        page = http.get(path, headers={"Accept": "text/html"}).raise_for_status()
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self' 'sha256-" in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert 'src="http' not in page.text
