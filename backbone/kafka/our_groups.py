"""The consumer groups of Headrace itself."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class OurGroups(BaseSettings):
    """Names of the groups that an installation may call otherwise; the same values for all planes.

    Attributes:
        router: of the routers.
        ledger: of the ledger agents.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True)

    router: str = Field("headrace-router", validation_alias="HEADRACE_PROCESSORS_GROUP")
    ledger: str = Field("headrace-ledger", validation_alias="HEADRACE_PROCESSORS_LEDGER_GROUP")
