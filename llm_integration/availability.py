"""Whether the record (PostgreSQL) does what it is asked for, and when it is worth asking again. Pure.

Every part that talks to the record reports here how its calls went and asks here before the next one, so that
all of them wait alike and an outage is announced once. A part may have an ``Availability`` of its own; parts
that share one share its messages too, and what the record answers one of them the others know.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from llm_integration.one_line import one_line

__all__ = ["MEANWHILE", "PAUSE_SECONDS", "Availability", "Change", "Kind", "log_change"]

logger = logging.getLogger(__name__)

Kind = Literal["work", "beat", "results", "signals", "bars", "budgets", "ledger", "leftovers"]
"""What the record was asked for. A full disk takes heartbeats and no results: each kind has its own end."""

MEANWHILE: dict[Kind, str] = {
    "work": "signals are rated from memory meanwhile",
    "beat": "signals are rated from memory meanwhile",
    "results": "results wait and are tried again",
    "signals": "bars go on, signals wait to be stored",
    "bars": "bars go on and wait to be stored",
    "budgets": "nothing is sent meanwhile, as nobody could say whether a budget has room",
    "ledger": "what requests cost waits to be written into the ledger",
    "leftovers": "what earlier runs left on disk waits",
}
"""What becomes of each kind while the record does not take it, in the words of the message."""

PAUSE_SECONDS = 5.0
"""After a failure, callers that can go on without an answer do so for this long before they ask again."""
FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 5.0
"""What has to be brought in is tried again after pauses that double from the first to the longest."""
FORGOTTEN_AFTER_SECONDS = 60.0
"""Whoever has not asked again for so long, while others are answered, has nothing to ask any more."""
MOST_DOUBLINGS = 10
LONGEST_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class Change:
    """The record failed after it had worked, or works again: ``error`` is then None.

    ``kind`` is what was asked for when it showed, ``answered`` whether PostgreSQL is there at least.
    """

    kind: Kind
    error: str | None = None
    answered: bool = False

    def __str__(self) -> str:
        if self.error is None:
            return "PostgreSQL answers again"
        state = "answers, but cannot store" if self.answered else "does not answer"
        return f"PostgreSQL {state} ({self.error}); {MEANWHILE[self.kind]}"


def log_change(change: Change) -> None:
    """Announce ``change`` in the log: the usual listener."""
    logger.warning("%s", change)


@dataclass(frozen=True, slots=True)
class _Failure:
    """The last of ``count`` failures in a row of one kind, ``at`` so many seconds on the clock.

    ``answers`` is how often anybody had been answered before the first of them.
    """

    error: str
    at: float
    count: int
    answers: int


class Availability:
    """Whether the record did last time what it was asked for, by kind. For one thread.

    ``clock`` counts seconds. Each of ``listeners`` is told when the first kind fails, and when the record has
    answered again and nothing fails any more; nothing in between. It must be quick and must not raise.
    """

    def __init__(
        self, clock: Callable[[], float], *, listeners: tuple[Callable[[Change], None], ...] = (log_change,)
    ) -> None:
        self._clock = clock
        self._listeners = listeners
        self._failures: dict[Kind, _Failure] = {}
        self._answers = 0
        self._outage = False
        self.error: str | None = None
        """Why the record fails at present, by its latest failure; None while it works."""

    @property
    def worth_asking(self) -> bool:
        """``worth_asking_for`` claims and look-ups."""
        return self.worth_asking_for("work")

    def worth_asking_for(self, kind: Kind) -> bool:
        """False for a moment after each failure of ``kind``, and after each of others while nobody answers.

        What others fail at says nothing about ``kind`` once the record has answered anybody since that began.
        For callers that can go on without an answer. One that cannot tries after ``retry_in``.
        """
        now = self._clock()
        return all(
            now >= failure.at + PAUSE_SECONDS
            for failed, failure in self._failures.items()
            if failed == kind or failure.answers == self._answers
        )

    def retry_in(self, kind: Kind) -> float:
        """Seconds until what waits for the record should be tried again; 0 while ``kind`` does not fail."""
        failure = self._failures.get(kind)
        if failure is None:
            return 0.0
        doubled = FIRST_RETRY_SECONDS * 2.0 ** min(failure.count - 1, MOST_DOUBLINGS)
        return max(0.0, failure.at + min(doubled, LONGEST_RETRY_SECONDS) - self._clock())

    def error_of(self, kind: Kind) -> str | None:
        """Why ``kind`` fails at present; None while it works."""
        failure = self._failures.get(kind)
        return None if failure is None else failure.error

    def failed(self, error: Exception, kind: Kind = "work") -> None:
        """The record did not answer, or did not do what it was asked for.

        An error whose ``answered`` is true says that it is there and refuses this for a reason of its own.
        """
        before = self._failures.get(kind)
        self.error = one_line(str(error) or type(error).__name__, LONGEST_MESSAGE)
        self._failures[kind] = _Failure(
            self.error,
            self._clock(),
            1 if before is None else before.count + 1,
            self._answers if before is None else before.answers,
        )
        answered = bool(getattr(error, "answered", False))
        self._answers += answered
        if not self._outage:
            self._outage = True
            self._tell(Change(kind, self.error, answered))

    def over(self, kind: Kind = "work") -> None:
        """The record did what it was asked for. The outage is over once all that failed works again.

        A failure that nobody has tried to mend for a minute keeps it alive no longer.
        """
        self._answers += 1
        if not self._outage:
            return
        oldest = self._clock() - FORGOTTEN_AFTER_SECONDS
        forgotten = [each for each, failure in self._failures.items() if failure.at <= oldest]
        for each in {kind, *forgotten}:
            self.withdraw(each)
        if not self._failures:
            self._outage = False
            self._tell(Change(kind))

    def withdraw(self, kind: Kind) -> None:
        """Nobody asks for ``kind`` any more: whether it would work stays open, and keeps no outage alive.

        Was it the last that failed, then the outage ends with whatever the record answers next.
        """
        if self._failures.pop(kind, None) is not None:
            latest = max(self._failures.values(), key=lambda failure: failure.at, default=None)
            self.error = None if latest is None else latest.error

    def _tell(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)
