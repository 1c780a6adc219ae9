"""How the worker's own talk with the database goes: one message per change, and a pause after a failure."""

from __future__ import annotations

import logging
from collections.abc import Callable

from llm_integration.worker.jobs import one_line

__all__ = ["Outage"]

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0
"""After the database failed to answer, signals go on unclaimed for this long before it is asked again."""


class Outage:
    """Whether the database answered last time. Times are seconds on ``clock``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._back_at = 0.0
        self.error: str | None = None

    @property
    def worth_asking(self) -> bool:
        """False for a moment after each failure."""
        return self._clock() >= self._back_at

    def failed(self, error: Exception) -> None:
        """The database did not answer."""
        self._back_at = self._clock() + PAUSE_SECONDS
        message = one_line(str(error) or type(error).__name__, 300)
        if self.error is None:
            logger.warning(
                "PostgreSQL does not answer (%s); signals are rated from memory meanwhile", message
            )
        self.error = message

    def over(self) -> None:
        """The database answered."""
        if self.error is not None:
            logger.warning("PostgreSQL answers again")
        self.error = None
        self._back_at = 0.0
