"""``headrace config``: the settings that a process started here would have, and what is wrong with them."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import typer
from pydantic import ValidationError
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from operations.commands.shown import show_json, show_rows
from operations.help_sections import ADMINISTER
from operations.telling import USAGE, tell
from schemas.model.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HIDDEN = "[hidden]"
_SECRET = re.compile(r"_(KEY|KEYS|SECRET|PASSWORD|TOKEN)$|^HEADRACE_KEY$")
_SECRET_PARAMETER = re.compile(r"([?&][^=&]*(?:password|secret|key|token)[^=&]*=)[^&]+", re.IGNORECASE)
"""Of a URL: databases take their password there, too."""

_SECRET_OPTION = re.compile(r"password|secret|key|token|jaas", re.IGNORECASE)


class _Setting(NamedTuple):
    """A setting of any plane: what is told of it, never a secret."""

    name: str
    value: str
    origin: str


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=ADMINISTER, epilog="Examples: headrace config; headrace config --all --json")(config)


def config(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are as by default.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the settings of this environment without secrets, and what is wrong with them.

    Exits with 2 if something is.
    """
    from backbone.process.variables import unknown  # noqa: PLC0415  # a plane's process does without

    planes = _planes()
    found = {each.name: each for plane in planes for each in _settings(plane)}
    shown = [each for _, each in sorted(found.items()) if everything or each.origin == "environment"]
    problems = list(dict.fromkeys([*(text for plane in planes for text in _problems(plane)), *unknown(os.environ)]))
    if as_json:
        show_json({"settings": [each._asdict() for each in shown], "problems": problems})
    elif shown:
        show_rows(("setting", "value", "from"), shown)
    else:
        tell("No setting is changed: all are as by default. --all shows them.", "green")
    for problem in problems:
        tell(problem)
    if problems:
        raise typer.Exit(USAGE)


def _planes() -> list[type[BaseSettings]]:
    from operations.settings import OperationsSettings  # noqa: PLC0415  # as above
    from processes.every_setting import every_setting  # noqa: PLC0415

    return [OperationsSettings, *every_setting()]


def _settings(plane: type[BaseSettings]) -> Iterator[_Setting]:
    for name, field in plane.model_fields.items():
        inner = _inner(field.annotation)
        if inner is not None:
            yield from _settings(inner)
            continue
        variable = str(field.validation_alias or f"{plane.model_config.get('env_prefix', '')}{name}").upper()
        if variable in os.environ:
            yield _Setting(variable, _told(variable, os.environ[variable]), "environment")
        else:
            default = field.get_default(call_default_factory=False)
            text = "" if default in (None, PydanticUndefined) else str(default)
            yield _Setting(variable, _HIDDEN if text and _SECRET.search(variable) else text, "default")


def _problems(plane: type[BaseSettings]) -> Iterator[str]:
    """What a process would refuse to start with; nothing is made on the disk."""
    given: dict[str, Any] = {}
    for name, field in plane.model_fields.items():
        inner = _inner(field.annotation)
        if inner is not None:
            yield from _problems(inner)
            given[name] = inner.model_construct()
    with tempfile.TemporaryDirectory() as directory:
        # Secrets that are not set would be generated into the data directory.
        if "data_dir" in plane.model_fields:
            given["data_dir"] = Path(directory)
        try:
            plane(**given)
        except ValidationError as error:
            for each in error.errors():
                place = ".".join(str(part) for part in each["loc"])
                yield f"{place or plane.__name__}: {each['msg'].removeprefix('Value error, ')}"
        except HeadraceError as error:
            yield str(error)


def _inner(annotation: Any) -> type[BaseSettings] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseSettings) else None


def _told(variable: str, value: str) -> str:
    if _SECRET.search(variable):
        return _HIDDEN if value else ""
    if value.lstrip()[:1] in ("{", "["):
        try:
            return json.dumps(_without_secrets(json.loads(value)), ensure_ascii=False)
        except (ValueError, RecursionError):
            # Where in it a secret is cannot be told.
            return _HIDDEN
    try:
        password = urlsplit(value).password
    except ValueError:
        return _HIDDEN if "@" in value else value
    value = value.replace(f":{password}@", f":{_HIDDEN}@") if password else value
    return _SECRET_PARAMETER.sub(rf"\1{_HIDDEN}", value)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _HIDDEN if _SECRET_OPTION.search(name) else _without_secrets(each) for name, each in value.items()}
