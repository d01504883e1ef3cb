"""What can go wrong on the machine Headrace is started on."""

from __future__ import annotations

from schemas.errors import HeadraceError


class CannotStart(HeadraceError):
    """Something that a start needs is not to be had; the message says what, why, and what to do about it."""


class TourFailed(HeadraceError):
    """An arrival that the tour checks did not come, or was not what was sent."""


class CallFailed(HeadraceError):
    """A gateway that was called answered with an error, ``status``."""

    def __init__(self, call: str, status: int, body: str) -> None:
        super().__init__(f"{call} was answered {status}: {body}")
        self.status = status
