"""What the CRMLS family can be told."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CrmlsSettings(BaseSettings):
    """Environment names are ``HEADRACE_INGEST_CRMLS_<NAME>``.

    Attributes:
        register_on_first_use: the first use of a ``messageType`` registers it.
        max_message_types: that one client may register so.
        strict_json: refuse the trailing commas that the CRMLS document prints.
    """

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_INGEST_CRMLS_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    register_on_first_use: bool = True
    max_message_types: int = Field(500, ge=0)
    strict_json: bool = False
