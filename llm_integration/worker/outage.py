"""How the worker's own talk with the database goes: one message per change, and a pause after a failure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

from llm_integration.worker.text import one_line

__all__ = ["Outage"]

logger = logging.getLogger(__name__)

Kind = Literal["work", "beat"]
"""What was asked for: claiming and storing, or the heartbeat."""

PAUSE_SECONDS = 5.0
"""After the database failed to answer, signals go on unclaimed for this long before it is asked again."""


class Outage:
    """Whether the database answered last time. Times are seconds on ``clock``.

    A database whose disk is full still takes heartbeats: the outage is over when what failed works again.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._back_at = 0.0
        self._failing: set[Kind] = set()
        self.error: str | None = None

    @property
    def worth_asking(self) -> bool:
        """False for a moment after each failure."""
        return self._clock() >= self._back_at

    def failed(self, error: Exception, kind: Kind = "work") -> None:
        """The database did not answer, or not as it should."""
        self._back_at = self._clock() + PAUSE_SECONDS
        message = one_line(str(error) or type(error).__name__, 300)
        if not self._failing:
            answered = getattr(error, "answered", False)
            state = "answers, but cannot store" if answered else "does not answer"
            logger.warning("PostgreSQL %s (%s); signals are rated from memory meanwhile", state, message)
        self._failing.add(kind)
        self.error = message

    def over(self, kind: Kind = "work") -> None:
        """The database did what it was asked for."""
        if kind not in self._failing:
            return
        self._failing.discard(kind)
        if not self._failing:
            logger.warning("PostgreSQL answers again")
            self.error = None
            self._back_at = 0.0
