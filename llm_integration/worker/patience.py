"""Whether and when a signal whose call failed is asked about again. Pure."""

from __future__ import annotations

from llm_integration.errors import CallError, CircuitOpenError, LineStoppedError
from llm_integration.worker.tasks import Task

__all__ = ["MOST_CALLS", "pause_after_failure", "pause_after_stop"]

MOST_CALLS = 3
"""Calls, each with all its attempts, for a signal that fails while others are answered."""
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0


def pause_after_failure(task: Task, error: Exception) -> float | None:
    """Seconds until ``task``, whose call failed, is asked about again; None: it has failed for good.

    The call failed for a passing reason and yet the circuit stayed closed: somebody was answered meanwhile.
    That may be chance once or twice. A signal that fails again and again is what breaks the server, and is
    not paid for for ever.
    """
    if not isinstance(error, CallError) or not error.retryable:
        return None
    task.failed_calls += 1
    return None if task.failed_calls >= MOST_CALLS else _growing(task.failed_calls)


def pause_after_stop(task: Task, stop: LineStoppedError, ready_in: float) -> float | None:
    """The same for a signal whose own requests failed until the circuit opened; None: it may be next.

    Nobody was answered: that is no signal's fault, and costs a few probes however long it lasts. It lets
    others go first all the same, or one that breaks the server would be every probe, and keep all in line.
    """
    if not isinstance(stop, CircuitOpenError) or not stop.attempts:
        return None
    task.stops += 1
    return ready_in + _growing(task.stops)


def _growing(count: int) -> float:
    return min(FIRST_PAUSE_SECONDS * 2.0 ** min(count - 1, 10), LONGEST_PAUSE_SECONDS)
