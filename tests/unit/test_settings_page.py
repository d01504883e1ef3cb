"""``docs/settings.md`` names every setting, and says what it is when it is not set; empty is not set either."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from backbone.process.readiness import READY_FILE
from backbone.process.variables import KNOWN
from families.event_service.settings import SocketSettings
from families.http import families
from ingest_api.settings import IngestSettings
from operations.settings import OperationsSettings
from processes.settings import ConnectorSettings
from stream_processors.settings import ProcessorSettings

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
OF_FAMILIES = (*(each.settings for each in families() if each.settings), SocketSettings)
PLANES = (OperationsSettings, IngestSettings, ProcessorSettings, ConnectorSettings, *OF_FAMILIES)
FOR_TESTS = "HEADRACE_FAULT_BEFORE_COMMIT"


def rows() -> dict[str, str]:
    """The default beside each name."""
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def defaults(settings: type[BaseSettings]) -> dict[str, Any]:
    """Every environment variable of a plane and its default, those of nested settings too."""
    found: dict[str, Any] = {}
    for name, field in settings.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseSettings):
            found |= defaults(inner)
        else:
            variable = field.validation_alias or f"{settings.model_config.get('env_prefix', '')}{name}".upper()
            found[str(variable)] = field.default
    return found


def known() -> dict[str, Any]:
    """Those of all planes."""
    return {name: value for plane in PLANES for name, value in defaults(plane).items() if name != FOR_TESTS}


def read(text: str, like: object) -> object:
    """A default on the page as a value of the same type."""
    if isinstance(like, bool):
        return {"`true`": True, "`false`": False}[text]
    days = re.fullmatch(r"(\d+) days?", text)
    return type(like)(int(days[1]) * 86_400 if days else text.strip("`"))  # type: ignore[call-arg]


def test_the_page_names_every_setting_and_no_other() -> None:
    assert rows().keys() == known().keys() | {READY_FILE}


def test_a_misspelt_variable_is_told_from_every_setting_of_every_plane() -> None:
    """Whoever adds a setting adds it there."""
    assert known().keys() | {READY_FILE} == KNOWN


def test_the_page_tells_the_defaults() -> None:
    fixed = {name: value for name, value in known().items() if value not in (None, "", (), PydanticUndefined)}
    page = rows()
    assert {name: read(page[name], like=value) for name, value in fixed.items()} == fixed
    assert len(fixed) > 50


def test_a_variable_that_is_empty_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is empty would be all of the machine's."""
    monkeypatch.chdir(tmp_path)
    variables = known().keys() - {"HEADRACE_REALTIME_TOKEN_AUDIENCE"}
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    unset = [plane() for plane in PLANES]
    for name in variables:
        monkeypatch.setenv(name, "")
    assert [plane() for plane in PLANES] == unset
