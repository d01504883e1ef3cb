"""What the event service can be told."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class EventServiceSettings(BaseSettings):
    """Environment names are ``HEADRACE_INGEST_EVENT_SERVICE_<NAME>``.

    Attributes:
        page_limit: most items in one answer to a query.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_INGEST_EVENT_SERVICE_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    page_limit: int = Field(1_000, ge=1)


class SocketSettings(BaseSettings):
    """Environment names are ``HEADRACE_REALTIME_SOCKET_<NAME>``.

    Attributes:
        window: seconds for which events go on being kept for an endpoint without an event filter when its last
            websocket is closed.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_REALTIME_SOCKET_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    window: float = Field(300.0, ge=1)
