"""To what a token is bound: one incarnation of a client, and the API key that it was got with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from schemas.model.access import ApiKey, Client


class Binding(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a token says of its origin; it is worth nothing once one of them is gone.

    Attributes:
        workspace: the client's.
        generation: when this incarnation of the client was created, in microseconds since the epoch. A client that is
            deleted and made again with the same id has another one.
        key: id of the API key or secret that the token was got with.
        key_generation: when that was created, as above. The administrator's key keeps its id when it is replaced.
    """

    workspace: str
    generation: int
    key: str
    key_generation: int

    @classmethod
    def of(cls, client: Client, key: ApiKey) -> Binding:
        """That of a token for a client that has shown this key."""
        return cls(workspace=client.workspace, generation=client.created_at, key=key.id, key_generation=key.created_at)


def end_of(key: ApiKey | None) -> int | None:
    """Return when a key ends, in microseconds since the epoch; None for never, and for a key that is not known."""
    return None if key is None else key.expires_at


def earliest(*ends: int | None) -> int | None:
    """Return the first of some ends, in any unit; None stands for no end."""
    return min((each for each in ends if each is not None), default=None)
