"""Which gateway a command calls, and with which key."""

from __future__ import annotations

import dataclasses
import re

from operations.api.client import admin_key
from operations.errors import WrongUsage
from operations.running import join_running
from operations.settings import DEFAULT_REALTIME_PORT, OperationsSettings

_URL = re.compile(r"https?://[^/\s?#]+", re.IGNORECASE)
_PORT = re.compile(r":\d+$", re.ASCII)
_PREFIX = "/headrace/v1"
_REALTIME_PATH = "/connection/websocket"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A gateway and a credential.

    Attributes:
        url: of the gateway, without a path.
        key: an API key.
        workspace: that calls are about; None means the key's own.
        realtime_url: where its realtime node is expected.
    """

    url: str
    key: str = dataclasses.field(repr=False)
    workspace: str | None = None
    realtime_url: str = dataclasses.field(default="", compare=False)


def target_of(url: str | None = None, key: str | None = None, workspace: str | None = None) -> Target:
    """The gateway that options and environment name; by default that of the data directory, as its administrator.

    The key of the data directory is never sent to a gateway that is named: that may be anybody's.

    Raises:
        CannotStart: the data directory has no key.
        WrongUsage: the URL is none, or its key is not given.
    """
    join_running()
    settings = OperationsSettings()
    named = (url or settings.url).rstrip("/").removesuffix(_PREFIX)
    given = key or settings.key
    if named and not _URL.fullmatch(named):
        raise WrongUsage(f"{named!r} is no URL of a gateway. Give one such as http://127.0.0.1:8080.")
    if not given and named not in {"", settings.base_url}:
        raise WrongUsage(f"Which API key is for {named}? Give one with HEADRACE_KEY or --key.")
    is_here = named in {"", settings.base_url}
    return Target(
        url=named or settings.base_url,
        key=given or admin_key(settings),
        workspace=workspace,
        realtime_url=settings.realtime_url if is_here else _realtime_of(named),
    )


def _realtime_of(url: str) -> str:
    """The usual port for plain HTTP; behind a proxy with TLS, the same host and port."""
    scheme, _, place = url.partition("://")
    if scheme.lower() == "https":
        return f"wss://{place}{_REALTIME_PATH}"
    host = place.rpartition(":")[0] if _PORT.search(place) else place
    return f"ws://{host}:{DEFAULT_REALTIME_PORT}{_REALTIME_PATH}"
