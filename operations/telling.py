"""What commands say on standard error, and the status that they exit with when they could not do their work."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_settings import BaseSettings
from rich.console import Console

from operations.errors import Unreachable, WrongUsage
from schemas.model.errors import HeadraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED, USAGE, UNREACHABLE = 1, 2, 3
"""Exit codes: what was asked for could not be done, the command was called wrongly, or no gateway answers."""


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Tell in words what the caller can mend, instead of a traceback, and exit with the status that it has."""
    try:
        yield
    except HeadraceError as error:
        tell(str(error))
        sys.exit(_status(error))
    except ValidationError as error:
        for problem in error.errors():
            tell(f"{_variable(error.title, problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}")
        sys.exit(USAGE)


def tell(text: str, style: str = "red") -> None:
    """Write a line to standard error."""
    Console(stderr=True).print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _status(error: HeadraceError) -> int:
    if isinstance(error, WrongUsage):
        return USAGE
    return UNREACHABLE if isinstance(error, Unreachable) else REFUSED


def _variable(settings: str, place: tuple[int | str, ...]) -> str:
    """The environment variable that a member of the settings class of that name is read from."""
    name, *inside = (str(part) for part in place)
    prefixes = {each.__name__: each.model_config.get("env_prefix", "") for each in _settings_classes(BaseSettings)}
    variable = name if name.isupper() else f"{prefixes.get(settings, '')}{name}".upper()
    return ": ".join([variable, *inside])


def _settings_classes(base: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for each in base.__subclasses__():
        yield each
        yield from _settings_classes(each)
