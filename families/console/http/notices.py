"""Sentences that say what was just done. A page shows one by its name: texts of the URL are not shown."""

from __future__ import annotations

NOTICES = {
    "paused": "The endpoint is paused. Its events are kept and are sent after the pause.",
    "resumed": "The pause is over. A run sends what was kept.",
    "enabled": "The endpoint is enabled.",
    "disabled": "The endpoint is disabled. Events that come now are dropped for it.",
    "url": "The URL is changed. Redrive what was given up before.",
    "run-paused": "The run is asked to pause.",
    "run-resumed": "The run is asked to go on.",
    "run-cancelled": "The run is asked to end.",
    "key-revoked": "The key is revoked. What was got with it has ended.",
    "redacted": "The payload is redacted. Kafka keeps its bytes until retention takes them.",
    "client-disabled": "The client is disabled. Its keys are refused from now on.",
    "client-enabled": "The client is enabled.",
    "workspace": "The workspace is changed.",
    "growth": "The topic grows. This page shows how far it is.",
    "growth-cancelled": "The growth is cancelled. Events go to the partitions of before.",
    "topic-changed": "The topic is changed.",
    "offsets": "The group's offsets are reset.",
}
