"""When to stop asking, and when to try again: the pure rule, without I/O.

Two things open the circuit. Too many failed calls do, once there were enough of them to judge, or a few in a
row to which not a byte came back, as each of those holds a lane for its whole time; it is tried again after a
short wait that doubles. A *stop* does at once: the key is refused, no
model is left, the server asked for a long wait. While it is open no call is made; then exactly one
probe goes out, and its success closes the circuit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from llm_integration.errors import CircuitOpenError, LineStoppedError
from llm_integration.rate_limiter import SteadyClock

__all__ = ["Change", "CircuitBreaker", "Entry"]

BUCKETS = 10
MINIMUM_CALLS = 10
SILENT_IN_A_ROW = 4
"""As many as a signal has attempts by default: its last one finds the circuit open, so the signal waits."""
PROBE_RUNNING_SECONDS = 1.0
"""What ``ready_in`` answers while the probe is under way: its end cannot be foreseen."""


@dataclass(slots=True, eq=False)
class Entry:
    """One call that was let in; hand it back with its outcome. ``era`` tells calls of earlier states.

    ``answers`` is how many calls had been answered before it, ``rounds`` how many rounds had failed.
    """

    era: int
    answers: int = 0
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """Something worth one line: the circuit opened, is open for another reason, or closed again.

    ``seconds`` is the wait until the probe, or for a recovery the time since the circuit opened.
    """

    open: bool
    reason: str
    seconds: float


@dataclass(slots=True)
class _Bucket:
    start: float
    calls: int = 0
    failures: int = 0


class CircuitBreaker:
    """Closed, open or half open, from the outcomes of calls.

    It opens when, over the last ``window`` seconds, at least ``minimum_calls`` ended and a share of
    ``failure_rate`` of them failed; when the last ``in_a_row`` all did, however long they took; when
    ``rounds`` rounds of calls failed and nobody was answered in between, which is how a server goes away
    after hours of answers (calls that were under way together fail together, and are one round); or when
    ``silent_in_a_row`` calls met with silence and none was answered in between. None: no such rule.

    The first wait is ``first_wait`` seconds, doubling with each failed probe up to ``longest_wait``. ``stop``
    opens it at once with waits from ``first_stop`` to ``longest_stop`` seconds. Each outcome method answers
    with a Change when there is something to tell.
    """

    def __init__(
        self,
        *,
        minimum_calls: int = MINIMUM_CALLS,
        failure_rate: float = 0.5,
        in_a_row: int | None = None,
        rounds: int | None = None,
        silent_in_a_row: int = SILENT_IN_A_ROW,
        window: float = 60.0,
        first_wait: float = 10.0,
        longest_wait: float = 300.0,
        first_stop: float = 60.0,
        longest_stop: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._minimum_calls = minimum_calls
        self._failure_rate = failure_rate
        self._in_a_row = in_a_row
        self._silent_in_a_row = silent_in_a_row
        self._most_rounds = rounds
        self._row = self._silent = self._rounds = 0
        self._answers = 0
        self._bucket_seconds = window / BUCKETS
        self._waits = (first_wait, longest_wait)
        self._stops = (first_stop, longest_stop)
        self._now = SteadyClock(clock)
        self._buckets: deque[_Bucket] = deque()
        self._era = 0
        self._open = False
        self._probe: Entry | None = None
        self._until = 0.0
        self._since = 0.0
        self._openings = 0
        self._kind: type[LineStoppedError] = CircuitOpenError
        self._reason = ""

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half_open``."""
        if not self._open:
            return "closed"
        return "open" if self._probe is None and self._now() < self._until else "half_open"

    @property
    def reason(self) -> str | None:
        """Why no call is made, in one line; None while the circuit is closed."""
        return self._reason if self._open else None

    @property
    def stopped_by(self) -> str | None:
        """The kind of error that keeps it open, by its class's name; None while it is closed."""
        return self._kind.__name__ if self._open else None

    def ready_in(self) -> float:
        """Seconds until a call may be let in; 0 when one may be now."""
        if not self._open:
            return 0.0
        if self._probe is not None:
            return PROBE_RUNNING_SECONDS
        return max(0.0, self._until - self._now())

    def enter(self) -> Entry | None:
        """Let one call in; None if none may be made now. In the half-open state only one is."""
        if not self._open:
            return Entry(self._era, self._answers, self._rounds)
        if self.ready_in() > 0:
            return None
        self._probe = entry = Entry(self._era, self._answers)
        return entry

    def refusal(self) -> LineStoppedError:
        """The error for a call that is not let in."""
        return self._kind(self._reason or "no request can be sent", retry_after=self.ready_in())

    def leave(self, entry: Entry) -> None:
        """The call ended without telling anything: cancelled, or it ran out of its own time."""
        if self._probe is entry:
            self._probe = None

    def answered_since(self, entry: Entry) -> bool:
        """Whether any call was answered since this one was let in."""
        return self._answers > entry.answers

    def succeeded(self, entry: Entry) -> Change | None:
        """The server answered."""
        self._answers += 1
        if entry.era != self._era:
            return None
        if self._probe is entry:
            return self._close()
        self._row = self._silent = self._rounds = 0
        self._bucket().calls += 1
        return None

    def failed(self, entry: Entry, reason: str, *, silent: bool = False) -> Change | None:
        """The server did not answer, or answered with a failure of its own. ``silent``: not a byte came."""
        if entry.era != self._era:
            return None
        if self._probe is entry:
            return self._reopen(reason)
        bucket = self._bucket()
        bucket.calls += 1
        bucket.failures += 1
        self._row += 1
        self._rounds += entry.rounds == self._rounds  # let in after the last round had failed
        self._silent += silent
        if (run := self._run_of_failures()) is not None:
            return self._trip(CircuitOpenError, f"{run}, last: {reason}")
        self._forget(self._now())
        calls = sum(each.calls for each in self._buckets)
        failures = sum(each.failures for each in self._buckets)
        if calls < self._minimum_calls or failures < self._failure_rate * calls:
            return None
        return self._trip(CircuitOpenError, f"{failures} of the last {calls} calls failed, last: {reason}")

    def _run_of_failures(self) -> str | None:
        """How the latest failures follow one another, if that is enough to open it."""
        if self._row == self._in_a_row:
            return f"{self._row} calls in a row failed"
        if self._rounds == self._most_rounds:
            return f"nobody was answered in {self._rounds} rounds of calls"
        if self._silent >= self._silent_in_a_row:
            return f"{self._silent} calls in a row met with silence"
        return None

    def stop(
        self, entry: Entry, kind: type[LineStoppedError], reason: str, wait: float | None = None
    ) -> Change | None:
        """No call can succeed for now: open at once, for ``wait`` seconds if the server named them."""
        return None if entry.era != self._era else self._trip(kind, reason, wait, self._stops)

    def _reopen(self, reason: str) -> Change | None:
        if self._kind is CircuitOpenError:
            return self._trip(CircuitOpenError, f"the last try failed as well: {reason}")
        return self._trip(self._kind, self._reason, None, self._stops)

    def _trip(
        self,
        kind: type[LineStoppedError],
        reason: str,
        wait: float | None = None,
        schedule: tuple[float, float] | None = None,
    ) -> Change | None:
        first, longest = schedule or self._waits
        news = not self._open or kind is not self._kind
        if not self._open:
            self._since = self._now()
        self._openings = 1 if news else self._openings + 1
        seconds = min(first * 2.0 ** min(self._openings - 1, 60), longest) if wait is None else wait
        self._open, self._kind, self._reason = True, kind, reason
        self._era += 1
        self._probe = None
        self._until = self._now() + seconds
        return Change(True, reason, seconds) if news else None

    def _close(self) -> Change:
        change = Change(False, self._reason, self._now() - self._since)
        self._open, self._reason, self._probe = False, "", None
        self._era += 1
        self._row = self._silent = self._rounds = 0
        self._buckets.clear()
        return change

    def _bucket(self) -> _Bucket:
        """The bucket of this moment; with a new one, those that have left the window go."""
        now, buckets = self._now(), self._buckets
        if buckets and now < buckets[-1].start + self._bucket_seconds:
            return buckets[-1]
        self._forget(now)
        buckets.append(_Bucket(now))
        return buckets[-1]

    def _forget(self, now: float) -> None:
        while self._buckets and self._buckets[0].start <= now - self._bucket_seconds * BUCKETS:
            self._buckets.popleft()
