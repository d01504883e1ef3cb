"""How Envoy's scopes are spelled: said once, for the HTTP plane, which issues tokens, and for the realtime nodes."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class EnvoyScopeSettings(BaseSettings):
    """Environment names are ``HEADRACE_INGEST_<NAME>``.

    Attributes:
        envoy_scope_suffix: what ends a scope that shows an Envoy user all of its namespace.
        envoy_user_scope_suffix: what ends a scope that shows it only what concerns that user.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_INGEST_", frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    envoy_scope_suffix: str = Field(":read", min_length=1)
    envoy_user_scope_suffix: str = Field(":read:own", min_length=1)
