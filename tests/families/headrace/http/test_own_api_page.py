"""``docs/own-api.md`` names every path of our own API: whoever adds a route adds it to a task there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from families.headrace.http.own_api import PREFIX
from families.http import families
from ingest_api.management import docs
from ingest_api.management.app import create_control_app

if TYPE_CHECKING:
    from ingest_api.gateway import Gateway

PAGE = (Path(__file__).parents[4] / "docs" / "own-api.md").read_text(encoding="utf-8")


def test_every_path_is_on_the_page() -> None:
    app = create_control_app(families(), cast("Gateway", None), version="1", hot_methods=lambda _: ())
    paths = [path for path in docs.document(app, families())["paths"] if path.startswith(f"{PREFIX}/")]
    assert len(paths) > 30
    assert [path for path in paths if path.removeprefix(PREFIX) not in PAGE] == []
