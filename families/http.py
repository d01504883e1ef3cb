"""The API families over HTTP."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from families import registry
from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Collection

    from ingest_api.family import Family


def families(names: Collection[str] = ()) -> tuple[Family, ...]:
    """The families of these names, those of their folders with hyphens; all without any. The others are not imported.

    Raises:
        Misconfigured: there is no family of such a name.
    """
    folders = {folder.replace("_", "-"): folder for folder in registry.FAMILIES}
    unknown = [each for each in names if each not in folders]
    if unknown:
        raise Misconfigured(f"HEADRACE_FAMILIES: there is no {unknown[0]!r}; there is {', '.join(folders)}")
    served = [folder for name, folder in folders.items() if not names or name in names]
    return tuple(import_module(f"families.{each}.http.family").FAMILY for each in served)
