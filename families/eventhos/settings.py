"""What the eventhos family can be told."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class EventhosSettings(BaseSettings):
    """Environment names are ``HEADRACE_INGEST_EVENTHOS_<NAME>``.

    Attributes:
        compat_status: answer 203 rather than 200 for an event that has no contracts, as the original does.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_INGEST_EVENTHOS_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    compat_status: bool = False
