"""Sets the quotas of clients and workspaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backbone.catalog.accounts import existing_client, existing_workspace
from backbone.catalog.writer import Changes
from schemas.model import timestamps

if TYPE_CHECKING:
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from schemas.model.access import Client, Workspace
    from schemas.model.quota import Quota


class CatalogQuotas:
    """The quotas that somebody has set; they belong to the record of the client or the workspace."""

    def __init__(self, writer: CatalogWriter) -> None:
        self._writer = writer

    async def set_client(self, workspace: str, client_id: str, quota: Quota) -> Client:
        """Replace a client's quota.

        Raises:
            NotFound: there is no such client.
        """
        return await self._writer.write(lambda view: _with_quota(existing_client(view, workspace, client_id), quota))

    async def set_workspace(self, name: str, quota: Quota) -> Workspace:
        """Replace a workspace's quota.

        Raises:
            NotFound: there is no such workspace.
        """
        return await self._writer.write(lambda view: _workspace_with_quota(view, name, quota))


def _with_quota(client: Client, quota: Quota) -> Changes[Client]:
    if client.quota == quota:
        return Changes(result=client)
    changed = msgspec.structs.replace(client, quota=quota, updated_at=timestamps.now())
    return Changes(put=[changed], result=changed)


def _workspace_with_quota(view: CatalogView, name: str, quota: Quota) -> Changes[Workspace]:
    workspace = existing_workspace(view, name)
    if workspace.quota == quota:
        return Changes(result=workspace)
    changed = msgspec.structs.replace(workspace, quota=quota, updated_at=timestamps.now())
    return Changes(put=[changed], result=changed)
