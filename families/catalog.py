"""What the API families add to the catalog."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from families import registry

if TYPE_CHECKING:
    from backbone.catalog.extension import CatalogExtension

EXTENSIONS: tuple[CatalogExtension, ...] = tuple(
    import_module(f"families.{each}.catalog.extension").EXTENSION for each in registry.EXTENSIONS
)
