"""The list of families: what it names is there, and what is there is named."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

import pytest

from families import registry
from families.catalog import EXTENSIONS
from families.delivery import BODIES
from families.http import families
from families.realtime import realm_channels
from schemas.model.errors import Misconfigured
from tests.support.local_gateway import local_gateway

FOLDERS = {path.parent.name for path in Path(registry.__file__).parent.glob("*/__init__.py")}


def test_every_folder_is_a_family_of_the_list() -> None:
    assert registry.FAMILIES.keys() == FOLDERS
    assert len({each.name for each in families()}) == len(FOLDERS)


def test_those_of_some_names_are_in_the_order_of_the_list() -> None:
    assert [each.name for each in families(("headrace", "event-service"))] == ["event-service", "events"]
    with pytest.raises(Misconfigured, match="there is no 'event_service'; there is console, crmls, eventhos, envoy"):
        families(("event_service",))


async def test_paths_of_a_family_that_is_not_served_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = await local_gateway(tmp_path, monkeypatch, HEADRACE_FAMILIES="headrace, crmls").begin()
    async with local.client() as http:
        assert (await http.get("/headrace/v1/workspaces")).status_code == 200
        assert (await http.post("/api/app/events")).status_code == 401
        for path in ("/v1/event", "/event/send", "/event-service/graphql", "/events/provision"):
            answer = await http.post(path, json={})
            assert (answer.status_code, answer.json()["status"]) == (404, 404), path
        prefixes = {path.split("/")[1] for path in (await http.get("/openapi.json")).json()["paths"]}
    assert {"headrace", "api"} <= prefixes
    assert prefixes & {"v1", "event", "event-service", "events", "schema-registry"} == set()


def test_a_family_with_an_extension_is_in_the_list_of_them() -> None:
    extended = {path.parent.parent.name for path in Path(registry.__file__).parent.glob("*/catalog/extension.py")}
    assert set(registry.EXTENSIONS) == extended
    assert {type(each).__module__.split(".")[1] for each in EXTENSIONS} == extended


@pytest.mark.parametrize("name", BODIES)
def test_a_body_has_what_the_connectors_ask_of_it(name: str) -> None:
    body = BODIES[name]  # type: ignore[index]  # a body format
    assert body.CONTENT_TYPE.startswith("application/")
    assert list(inspect.signature(body.render).parameters) == ["outgoing"]


def test_a_realm_with_channels_of_its_own_is_that_of_its_rules() -> None:
    assert [each.realm for each in realm_channels()] == list(registry.CHANNELS)


def test_a_socket_format_has_a_body() -> None:
    assert registry.SOCKETS.keys() <= registry.BODIES.keys()
    for module in registry.SOCKETS.values():
        assert callable(import_module(module).socket_protocol)
