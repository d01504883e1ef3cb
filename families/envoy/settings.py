"""What the Envoy family can be told; the HTTP plane, which issues tokens, and the realtime nodes are told the same."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class EnvoySettings(BaseSettings):
    """Environment names are ``HEADRACE_INGEST_ENVOY_<NAME>``.

    Attributes:
        scope_suffix: what ends a scope that shows a user all of its namespace.
        user_scope_suffix: what ends a scope that shows it only what concerns that user.
        provision_scope: that provisioning needs; empty: any access token of the organisation.
        manage_scope: that deprovisioning and naming public namespaces need; whoever has the scope of
            ``provision_scope`` may too. ``*``: as provisioning.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_INGEST_ENVOY_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    scope_suffix: str = Field(":read", min_length=1)
    user_scope_suffix: str = Field(":read:own", min_length=1)
    provision_scope: str = ""
    manage_scope: str = Field("events:manage", min_length=1)
