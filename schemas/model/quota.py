"""How much a client or a workspace may publish in a second."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

UNLIMITED: Literal["unlimited"] = "unlimited"

Rate = int | Literal["unlimited"] | None
"""A second; None: as the installation's settings say."""


class QuotaKind(StrEnum):
    """What a quota counts: ``requests`` that publish, their ``events``, the ``bytes`` of their bodies."""

    REQUESTS = "requests"
    EVENTS = "events"
    BYTES = "bytes"


class Quota(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Most requests, events and bytes a second that one client or one workspace may publish."""

    requests: Rate = None
    events: Rate = None
    bytes: Rate = None

    def rate(self, kind: QuotaKind, default: int | None) -> int | None:
        """Return the limit a second, or None where there is none; ``default`` is the installation's."""
        rate: Rate = getattr(self, kind)
        if rate == UNLIMITED:
            return None
        return default if rate is None else rate


NOTHING_SET = Quota()
"""That of a client or workspace for which nobody has set one."""
