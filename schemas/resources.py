"""The resources of the catalog: one record each, keyed by ``Resource.key``, a tombstone to delete."""

from __future__ import annotations

import msgspec

from schemas.access import ApiKey, Client, Workspace
from schemas.errors import CorruptRecord
from schemas.event_type import EventType, Registration
from schemas.family_record import FamilyRecord
from schemas.subscription import Endpoint, EventFilter, Subscription

Resource = Workspace | Client | ApiKey | EventType | Registration | Endpoint | EventFilter | Subscription | FamilyRecord

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Resource] = msgspec.json.Decoder(Resource)


def encode_resource(resource: Resource) -> bytes:
    """The JSON value of a catalog record."""
    return _ENCODER.encode(resource)


def decode_resource(value: bytes) -> Resource:
    """Read a catalog record's value.

    Raises:
        CorruptRecord: it is not a resource.
    """
    try:
        return _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptRecord(f"not a catalog resource: {error}") from error
