"""What a key has used up: free-tier requests, credit, in-flight reservations. Pure, clock passed in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

__all__ = ["Account", "Quota"]

MINUTE = 60.0
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Quota:
    """A free-tier limit that is used up until ``reset_ms`` (epoch milliseconds)."""

    per_day: bool
    limit: int
    reset_ms: int


@dataclass(slots=True)
class Account:
    """The use of one key. Refused requests do not count."""

    free_per_minute: int
    free_per_day: int
    spent: Decimal = Decimal(0)
    day: int = -1
    used_today: int = 0
    _recent: deque[float] = field(default_factory=deque)

    def take_free(self, now: float) -> Quota | None:
        """Count one free request at epoch second ``now``; the limit that forbids it, if one does.

        The minute slides; the day is the UTC day.
        """
        self._roll(now)
        if self.used_today >= self.free_per_day:
            return Quota(True, self.free_per_day, (self.day + 1) * DAY * 1000)
        if len(self._recent) >= self.free_per_minute:
            # with a limit of 0 there is no earlier request whose minute could end
            start = self._recent[0] if self._recent else now
            return Quota(False, self.free_per_minute, int((start + MINUTE) * 1000) + 1)
        self._recent.append(now)
        self.used_today += 1
        return None

    def free_used(self, now: float) -> int:
        """Free requests of this UTC day."""
        self._roll(now)
        return self.used_today

    def _roll(self, now: float) -> None:
        today = int(now // DAY)
        if today != self.day:
            self.day, self.used_today = today, 0
        # a clock that was set back must not lock the key for longer than a minute
        while self._recent and not 0 <= now - self._recent[0] < MINUTE:
            self._recent.popleft()
