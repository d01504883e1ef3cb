"""The OpenAPI document is one that generators of clients can work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from families.http import families
from ingest_api.management import docs
from ingest_api.management.app import create_control_app
from ingest_api.management.models import Change

if TYPE_CHECKING:
    from ingest_api.gateway import Gateway


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = create_control_app(families(), cast("Gateway", None), version="1", hot_methods=lambda _: ())
    return docs.document(app, families())


@pytest.fixture(scope="module")
def schemas(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"]
    return found


def test_no_part_of_a_path_can_be_null(document: dict[str, Any]) -> None:
    assert [
        f"{path}: {parameter['name']}"
        for path, methods in document["paths"].items()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "path" and {"type": "null"} in parameter["schema"].get("anyOf", ())
    ] == []


def test_no_two_schemas_have_one_name(schemas: dict[str, Any]) -> None:
    # FastAPI puts modules in front of names that clash, which no generator makes a class of.
    assert [name for name in schemas if "__" in name] == []


def test_a_change_has_no_defaults_that_a_client_could_send_without_being_asked(schemas: dict[str, Any]) -> None:
    changes = {kind.__name__ for kind in Change.__subclasses__()}
    assert len(changes) >= 6
    assert [
        f"{name}.{member}"
        for name in changes
        for member, schema in schemas[name]["properties"].items()
        if "default" in schema
    ] == []


def test_defaults_are_values_that_are_taken(schemas: dict[str, Any]) -> None:
    empty = [
        f"{name}.{member}"
        for name, schema in schemas.items()
        for member, described in schema.get("properties", {}).items()
        if described.get("default") in ("", []) and (described.get("minLength") or described.get("minItems"))
    ]
    assert empty == []
