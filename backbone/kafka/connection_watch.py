"""Knows when one of a client's connections to Kafka broke."""

from __future__ import annotations

import logging

from backbone.kafka.settings import ClientLog

DEBUG = "broker"
"""The debug context of librdkafka that has a line for every change of a connection. Its errors are no help: what is
repeated within 30 seconds is said once."""


class ConnectionWatch(ClientLog):
    """The log of a client that has ``debug`` set to ``DEBUG``; passes on what a client without it would say.

    Lines arrive when the client is polled. A request that was repeated was repeated after its connection broke, and the
    line about that comes before the answer.

    Args:
        tells_debug: pass on debug lines too: ``HEADRACE_KAFKA_OPTIONS`` asks for some.
    """

    def __init__(self, *, tells_debug: bool = False) -> None:
        super().__init__()
        self._tells_debug = tells_debug
        self.has_broken = False

    def log(self, level: int, message: str, *args: object) -> None:
        """See ``ClientLog``."""
        if level > logging.DEBUG or self._tells_debug:
            super().log(level, message, *args)
        if level <= logging.DEBUG and args and str(args[-1]).endswith("-> DOWN"):
            self.has_broken = True
