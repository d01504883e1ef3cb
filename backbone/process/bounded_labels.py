"""Labels of metrics whose values have no bound of their own, such as event types and endpoints."""

from __future__ import annotations

OTHER = "other"
"""Stands for all values past the bound."""


class BoundedLabels:
    """Keeps the first values that a process sees, and calls all later ones ``other``.

    Every value is a series that Prometheus keeps; a tenant that makes ten thousand event types must not make as many.

    Args:
        most: values.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def label(self, value: str) -> str:
        """Return the label of a value."""
        if value in self._known:
            return value
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(value)
        return value
