"""How topics are kept: asked in turns, for it seldom changes, and the answers are large."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from backbone.kafka.cluster import TopicConfig

_MOST = 200
"""Topics of one question."""

_AGAIN = 300_000_000
"""Microseconds after which it is asked again."""


class TopicConfigs:
    """What is known of each topic.

    Args:
        ask: how some topics are kept.
    """

    def __init__(self, ask: Callable[[Sequence[str]], Mapping[str, TopicConfig]]) -> None:
        self._ask = ask
        self._known: dict[str, TopicConfig] = {}
        self._asked_at: dict[str, int] = {}

    def refresh(self, at: int, topics: Collection[str]) -> None:
        """Ask about new topics, and about those that were asked about long ago.

        Args:
            at: the present, microseconds since the epoch.
            topics: all that there are; the others are forgotten.

        Raises:
            Unavailable: Kafka does not answer, or does not allow the question.
        """
        self._asked_at = {topic: self._asked_at.get(topic, 0) for topic in topics}
        self._known = {topic: config for topic, config in self._known.items() if topic in self._asked_at}
        due = sorted((asked, topic) for topic, asked in self._asked_at.items() if asked <= at - _AGAIN)
        asked = [topic for _, topic in due[:_MOST]]
        self._known |= self._ask(asked)
        self._asked_at |= dict.fromkeys(asked, at)

    def get(self, topic: str) -> TopicConfig | None:
        """How a topic is kept; None: not known yet."""
        return self._known.get(topic)
