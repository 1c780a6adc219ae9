"""Whether a file can be written, when to try again, and one message per change of that."""

from __future__ import annotations

import logging
import os

__all__ = ["Health"]

logger = logging.getLogger(__name__)

LOCK_PATIENCE_SECONDS = 1.0
"""Other processes hold the lock for milliseconds; only a longer wait is worth a message."""


class Health:
    """State of one file. Times are seconds of the clock that the caller passes in."""

    def __init__(self, name: str, meanwhile: str = "rows wait in memory and are tried again") -> None:
        self.name = name
        self.meanwhile = meanwhile
        self.errors = 0
        self.cause: str | None = None
        self.retry_at = 0.0
        self._since = 0.0
        self._announced: str | None = None
        self._delay = 0.0

    def failed(self, error: OSError, now: float) -> None:
        """An attempt failed: wait longer before each further one, say so once."""
        locked = isinstance(error, BlockingIOError)
        if self.cause is None:
            self._since = now
        if not locked:
            self.errors += 1
        shortest, longest = (0.01, 0.25) if locked else (0.05, 5.0)
        self._delay = min(max(self._delay * 2, shortest), longest)
        self.retry_at = now + self._delay
        self.cause = "locked by another process" if locked else _reason(error)
        if self.cause != self._announced and (not locked or now - self._since >= LOCK_PATIENCE_SECONDS):
            self._announced = self.cause
            logger.warning("%s: %s; %s", self.name, self.cause, self.meanwhile)

    def worked(self, now: float) -> None:
        """An attempt succeeded."""
        if self.cause is None:
            return
        if self._announced is not None:
            logger.info("%s: written again after %.1f s", self.name, now - self._since)
        self.cause = self._announced = None
        self._delay = self.retry_at = 0.0


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__
