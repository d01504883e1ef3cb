"""The records of the compacted topic ``operations``."""

from __future__ import annotations

import msgspec

from backbone.kafka.records import Record
from schemas.model import topics
from schemas.model.cluster_figures import (
    GROUP,
    KEYS,
    OVERVIEW,
    TOPIC,
    GroupFigures,
    KeyCounts,
    Overview,
    TopicFigures,
)

Figures = TopicFigures | GroupFigures | KeyCounts | Overview

_ENCODER = msgspec.json.Encoder()


def figures_record(figures: Figures) -> Record:
    """What is known of a topic, a group, frequent keys or the cluster."""
    return Record(topics.OPERATIONS, _ENCODER.encode(figures), _key(figures).encode())


def tombstone(key: str) -> Record:
    """Forgets a topic or a group that is gone."""
    return Record(topics.OPERATIONS, None, key.encode())


def _key(figures: Figures) -> str:
    match figures:
        case TopicFigures():
            return f"{TOPIC}{figures.topic}"
        case GroupFigures():
            return f"{GROUP}{figures.group}"
        case KeyCounts():
            return f"{KEYS}{figures.worker}"
        case Overview():
            return OVERVIEW
