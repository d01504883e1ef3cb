"""Admits what is published, or refuses it: the quotas of the client and of its workspace."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from ingest_api.quotas.bucket import CLIENT, WORKSPACE, Bucket, Owner
from ingest_api.quotas.shared_buckets import SharedBuckets
from schemas.model.errors import PayloadTooLarge, RateExceeded
from schemas.model.quota import NOTHING_SET, QuotaKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from backbone.catalog.view import CatalogView
    from ingest_api.quotas.bucket import Standing
    from ingest_api.quotas.settings import QuotaSettings
    from schemas.model.event import EventDraft
    from schemas.model.quota import Quota

    Refused = Callable[[str, str], None]

_MOST_BUCKETS = 100_000


class Quotas:
    """The quotas that hold in this worker, and what is left of them on this machine.

    Args:
        settings: the quotas of those for whom nobody has set others.
        view: clients and workspaces with the quotas that somebody has set.
        path: of the file that all workers of this machine share.
        refused: called with scope and kind of a quota that refused a request.
        clock: seconds, monotonic; the same for all processes of the machine.
    """

    def __init__(
        self,
        settings: QuotaSettings,
        view: CatalogView,
        path: Path,
        refused: Refused,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._view = view
        self._path = path
        self._refused = refused
        self._clock = clock
        self._shared: SharedBuckets | None = None
        self._version = -1
        self._holding: dict[tuple[str, str], tuple[Bucket, ...]] = {}
        self._buckets: dict[tuple[Owner, QuotaKind], Bucket] = {}

    def admit(self, drafts: Sequence[EventDraft], size: int) -> None:
        """Count a request that publishes these events of one client, or refuse it.

        Args:
            drafts: its events.
            size: bytes of its body.

        Raises:
            RateExceeded: a quota is used up; nothing was counted.
            PayloadTooLarge: a quota never admits so much at once.
        """
        version = self._view.version
        if version != self._version:
            self._version = version
            self._holding.clear()
        if not drafts:
            return
        whose = (drafts[0].publisher, drafts[0].workspace)
        buckets = self._holding.get(whose)
        if buckets is None:
            buckets = self._holding[whose] = (*self.of_client(whose[0]), *self.of_workspace(whose[1]))
        if buckets:
            self._take(buckets, (1, len(drafts), size))

    def of_client(self, unique_id: str) -> list[Bucket]:
        """The buckets of a client."""
        client = self._view.unique_client(unique_id)
        quota = NOTHING_SET if client is None else client.quota
        return self._limiting(Owner(CLIENT, unique_id), quota, self._settings.of_client)

    def of_workspace(self, name: str) -> list[Bucket]:
        """The buckets of a workspace."""
        workspace = self._view.workspace(name)
        quota = NOTHING_SET if workspace is None else workspace.quota
        return self._limiting(Owner(WORKSPACE, name), quota, self._settings.of_workspace)

    def standing(self, buckets: Sequence[Bucket]) -> dict[QuotaKind, Standing]:
        """How quotas stand on this machine."""
        now = self._clock()
        return {bucket.kind: bucket.standing(now) for bucket in buckets}

    def _take(self, buckets: Sequence[Bucket], wanted: tuple[int, int, int]) -> None:
        """Take tokens, one number for each of ``QuotaKind``, from all of the buckets or from none."""
        for bucket in buckets:
            if bucket.credit < wanted[bucket.place]:
                break
        else:
            for bucket in buckets:
                bucket.credit -= wanted[bucket.place]
            return
        for bucket in buckets:
            if wanted[bucket.place] > bucket.most:
                self._refused(bucket.scope, bucket.kind)
                raise PayloadTooLarge(_TOO_MUCH.format(bucket.scope, int(bucket.most), bucket.kind))
        with self._open().locked():
            now = self._clock()
            waits = [bucket.shortfall(wanted[bucket.place], now) for bucket in buckets]
            longest = max(waits)
            if longest == 0:
                for bucket in buckets:
                    bucket.take(wanted[bucket.place], now)
                return
            exhausted = buckets[waits.index(longest)]
            exhausted.refuse(now)
        self._refused(exhausted.scope, exhausted.kind)
        raise RateExceeded(
            _USED_UP.format(exhausted.scope, exhausted.rate, exhausted.kind), retry_after=math.ceil(longest)
        )

    def _limiting(self, whose: Owner, quota: Quota, defaults: Mapping[QuotaKind, int | None]) -> list[Bucket]:
        rates = {kind: quota.rate(kind, defaults[kind]) for kind in QuotaKind}
        return [self._bucket(whose, kind, rate) for kind, rate in rates.items() if rate is not None]

    def _bucket(self, whose: Owner, kind: QuotaKind, rate: int) -> Bucket:
        """What a worker has taken in advance stays, whatever else changes in the catalog."""
        found = self._buckets.get((whose, kind))
        if found is None or found.rate != rate:
            if len(self._buckets) >= _MOST_BUCKETS:
                self._buckets.clear()
            found = Bucket(self._open(), whose, kind, rate, self._settings.burst_seconds)
            self._buckets[whose, kind] = found
        return found

    def _open(self) -> SharedBuckets:
        if self._shared is None:
            self._shared = SharedBuckets(self._path)
        return self._shared


_USED_UP = "The quota of this {} is used up: {:,} {} a second. Nothing was published. Repeat the request later."
_TOO_MUCH = (
    "The quota of this {} admits {:,} {} at once, and this request has more. Nothing was published. Send it in parts."
)
