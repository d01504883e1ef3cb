"""The resources of the catalog: one record each, keyed by ``Resource.key``, a tombstone to delete."""

from __future__ import annotations

import msgspec

from schemas.model.access import ApiKey, Client, Workspace
from schemas.model.endpoint import Endpoint, EventFilter, Subscription
from schemas.model.errors import CorruptRecord
from schemas.model.event_type import EventType, Registration
from schemas.model.family_record import FamilyRecord
from schemas.model.growth import Growth
from schemas.model.projection import EndpointProjection

Resource = (
    Workspace
    | Client
    | ApiKey
    | EventType
    | Registration
    | Endpoint
    | EndpointProjection
    | EventFilter
    | Subscription
    | FamilyRecord
    | Growth
)

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
