"""What an API family keeps of its own beside the common model, such as eventhos' names for its systems."""

from __future__ import annotations

from typing import Any

import msgspec


class FamilyRecord(msgspec.Struct, frozen=True, kw_only=True, tag="family_record", tag_field="kind"):
    """One record of a family's own; only that family reads ``content``, a JSON object.

    ``id`` is unique in its collection. What the common model can say is said there: a record holds only what the
    family's document shows besides, and the ids of the resources that it is about.
    """

    family: str
    collection: str
    id: str
    workspace: str
    content: dict[str, Any]
    created_at: int
    updated_at: int

    @property
    def key(self) -> str:
        """Catalog record key."""
        return family_record_key(self.family, self.collection, self.id)


def family_record_key(family: str, collection: str, record_id: str) -> str:
    """The catalog record key of a family's record."""
    return f"family_record/{family}/{collection}/{record_id}"
