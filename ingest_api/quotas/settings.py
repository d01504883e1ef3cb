"""The quotas of clients and workspaces for which nobody has set others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.model.quota import QuotaKind

if TYPE_CHECKING:
    from collections.abc import Mapping


class QuotaSettings(BaseSettings):
    """Environment names are ``HEADRACE_QUOTA_<NAME>``. A quota that is not set does not limit.

    Attributes:
        client_requests, client_events, client_bytes: that each client may publish in a second.
        workspace_requests, workspace_events, workspace_bytes: that the clients of each workspace may together.
        burst_seconds: a quota of so many seconds may be used at once.
    """

    model_config = SettingsConfigDict(env_prefix="HEADRACE_QUOTA_", frozen=True, extra="ignore", env_ignore_empty=True)

    client_requests: int | None = Field(None, ge=1)
    client_events: int | None = Field(None, ge=1)
    client_bytes: int | None = Field(None, ge=1)
    workspace_requests: int | None = Field(None, ge=1)
    workspace_events: int | None = Field(None, ge=1)
    workspace_bytes: int | None = Field(None, ge=1)
    burst_seconds: float = Field(0.4, gt=0, le=60)

    @property
    def of_client(self) -> Mapping[QuotaKind, int | None]:
        """Those of a client."""
        return dict(zip(QuotaKind, (self.client_requests, self.client_events, self.client_bytes), strict=True))

    @property
    def of_workspace(self) -> Mapping[QuotaKind, int | None]:
        """Those of a workspace."""
        return dict(zip(QuotaKind, (self.workspace_requests, self.workspace_events, self.workspace_bytes), strict=True))
