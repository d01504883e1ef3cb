"""The settings of all planes and families together."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic_settings import BaseSettings

from families import registry
from ingest_api.settings import IngestSettings
from processes.settings import ConnectorSettings
from stream_processors.settings import ProcessorSettings

if TYPE_CHECKING:
    from collections.abc import Iterator


def every_setting() -> list[type[BaseSettings]]:
    """Return the settings of each plane, then those of each family that has some."""
    return [IngestSettings, ProcessorSettings, ConnectorSettings, *_of_families()]


def _of_families() -> Iterator[type[BaseSettings]]:
    for folder in registry.FAMILIES:
        name = f"families.{folder}.settings"
        if find_spec(name) is not None:
            for each in vars(import_module(name)).values():
                if isinstance(each, type) and issubclass(each, BaseSettings) and each.__module__ == name:
                    yield each
