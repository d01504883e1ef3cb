"""What the checks look at: the installation that the environment and the data directory describe."""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from backbone.catalog.reader import Catalog
from backbone.kafka.settings import KafkaSettings
from operations.api.target import target_of
from operations.broker.selection import BOOTSTRAP_VARIABLE
from operations.doctor.installed import Installed
from operations.errors import CannotStart, NotKnown
from operations.running import join_running
from operations.settings import OperationsSettings
from schemas.model.errors import HeadraceError, Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from operations.api.target import Target

_CATALOG_SECONDS = 7.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """An installation. The functions are there so that a test can replace them.

    Attributes:
        installed: settings that all planes share.
        operations: settings of the commands.
        kafka: how to reach Kafka.
        has_local_broker: whether a start would run a broker on this machine.
        target: the gateway and a key; None if there is no key.
        no_target: why there is no target.
        now: seconds since the epoch by this machine's clock.
        statvfs: of the file system that has a path.
    """

    installed: Installed
    operations: OperationsSettings
    kafka: KafkaSettings
    has_local_broker: bool = False
    target: Target | None = None
    no_target: str = ""
    now: Callable[[], float] = time.time
    statvfs: Callable[[Path], os.statvfs_result] = os.statvfs
    _catalogs: list[Catalog] = dataclasses.field(default_factory=list)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Of the gateway."""
        return self.operations.base_url if self.target is None else self.target.url

    @property
    def is_on_this_machine(self) -> bool:
        """Whether the gateway is the one of the data directory."""
        return self.url == self.operations.base_url

    def close(self) -> None:
        """Stop reading the catalog."""
        for catalog in self._catalogs:
            catalog.stop()

    def catalog(self) -> Catalog:
        """The catalog, read once to its end.

        Raises:
            Misconfigured: the secret keys are not those that it is signed with.
            NotKnown: there are no secret keys, or Kafka does not answer.
        """
        with self._lock:
            if not self._catalogs:
                keys = self.installed.known_secret_keys()
                if not keys:
                    raise NotKnown(
                        f"HEADRACE_SECRET_KEYS is not set, and {self.installed.data_dir} has no secret-keys file."
                    )
                catalog = Catalog(self.kafka, keys)
                catalog.start()
                self._catalogs.append(catalog)
            (catalog,) = self._catalogs
            try:
                catalog.catch_up(_CATALOG_SECONDS)
            except Misconfigured:
                raise
            except HeadraceError as error:
                raise NotKnown(f"The catalog could not be read: {error}") from error
            return catalog


def site_of(url: str | None, key: str | None) -> Site:
    """The installation of this environment.

    Raises:
        WrongUsage: the URL is none, or its key is not given.
    """
    # What a check comes across is a finding, not a log line.
    logging.getLogger().addHandler(logging.NullHandler())
    has_local_broker = BOOTSTRAP_VARIABLE not in os.environ
    join_running()
    target, why = None, ""
    try:
        target = target_of(url, key)
    except CannotStart as error:
        why = str(error)
    return Site(
        installed=Installed(),
        operations=OperationsSettings(),
        kafka=KafkaSettings(),
        has_local_broker=has_local_broker,
        target=target,
        no_target=why,
    )
