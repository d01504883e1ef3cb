"""What the schema registry can be told."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

from backbone.process.http_hosts import is_loopback


class RegistrySettings(BaseSettings):
    """Environment names are ``HEADRACE_INGEST_SCHEMA_REGISTRY_<NAME>``.

    Attributes:
        open: it is read without a credential, by whoever reaches the port; None: only where that is bound to a
            loopback address.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_INGEST_SCHEMA_REGISTRY_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    open: bool | None = None

    def is_open(self, host: str) -> bool:
        """Whether it asks for no credential on a port that is bound to a host."""
        return is_loopback(host) if self.open is None else self.open
