"""What Envoy adds to the writes of others: a deleted workspace is no longer provisioned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.catalog.extension import CatalogExtension, Edits, check_content
from families.envoy.model import FAMILY, ORGANISATIONS
from schemas.model.access import Workspace

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from schemas.model.family_record import FamilyRecord


class EnvoyExtension(CatalogExtension):
    """Follows deleted workspaces."""

    def check_record(self, record: FamilyRecord) -> None:
        """Refuse public namespaces that are no list of names.

        Raises:
            InvalidRequest: they are none.
        """
        if (record.family, record.collection) == (FAMILY, ORGANISATIONS):
            check_content(record, dict[str, list[str]])

    def additions(self, before: CatalogView, edits: Edits) -> Edits:
        """Delete the records of deleted workspaces: another one of that name must not begin with public channels."""
        gone = (before.get(key) for key in edits.delete)
        names = [each.name for each in gone if isinstance(each, Workspace)]
        records = (before.family_record(FAMILY, ORGANISATIONS, name) for name in names)
        return Edits(delete=[each.key for each in records if each is not None])


EXTENSION = EnvoyExtension()
