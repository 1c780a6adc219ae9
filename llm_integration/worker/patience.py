"""Which failed calls are worth another one: the model's and the line's fault waits, a signal's own does not. Pure."""

from __future__ import annotations

from collections.abc import Callable

from llm_integration.errors import CallError, CircuitOpenError, LineStoppedError
from llm_integration.worker.jobs import Job

__all__ = ["Patience"]

MOST_STRIKES = 2
"""A signal whose calls failed this often, each while others were answered, is itself what fails."""
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0


class Patience:
    """Decides how long a signal waits whose call has failed after all its attempts. Times on ``clock``.

    A passing failure says nothing about the signal as long as nobody else is answered either: it waits and is
    asked about again, with growing pauses, until it is too old. If others were answered while its own call
    failed, that is a strike against it; after two it fails, so that a signal which breaks the server is not
    paid for for ever.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._answered_at = float("-inf")

    def answered(self) -> None:
        """Some signal was answered just now."""
        self._answered_at = self._clock()

    def pause(self, job: Job, error: Exception, started: float) -> float | None:
        """Seconds until ``job``, asked about since ``started``, is asked about again; None: it has failed."""
        if not isinstance(error, CallError) or not error.retryable:
            return None
        job.strikes += self._answered_at >= started
        if job.strikes >= MOST_STRIKES:
            return None
        return self._next(job)

    def pause_after_stop(self, job: Job, error: LineStoppedError, ready_in: float) -> float | None:
        """The same for a signal whose own requests failed until everything stopped; None: it may be next.

        It lets others go first, or one that breaks the server would be every probe, and keep all in line.
        """
        if not isinstance(error, CircuitOpenError) or not error.attempts:
            return None
        return ready_in + self._next(job)

    def _next(self, job: Job) -> float:
        job.tries += 1
        return min(FIRST_PAUSE_SECONDS * 2.0 ** min(job.tries - 1, 10), LONGEST_PAUSE_SECONDS)
