"""What the API families add to a realtime node."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from families import registry

if TYPE_CHECKING:
    from backbone.catalog.realtime_grants import RealmChannels
    from backbone.kafka.settings import KafkaSettings
    from backbone.process.settings import BackboneSettings
    from connectors.websocket.socket_service import SocketProtocol


def realm_channels() -> list[RealmChannels]:
    """The rules of each realm that has its own.

    Raises:
        ValidationError: a setting of its family is none.
    """
    return [import_module(module).realm_channels() for module in registry.CHANNELS.values()]


def socket_protocols(kafka: KafkaSettings, backbone: BackboneSettings) -> list[SocketProtocol]:
    """The WebSocket protocols beside the node's own.

    Raises:
        ValidationError: a setting of a family is none.
    """
    return [import_module(module).socket_protocol(kafka, backbone) for module in registry.SOCKETS.values()]
