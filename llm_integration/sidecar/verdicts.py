"""What became of a signal, for a host that asks from any thread and must not wait."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

from llm_integration.domain import LLMAnalysis, TaskStatus

__all__ = ["Verdict", "VerdictState", "Verdicts"]

MOST_VERDICTS = 50_000
"""Signals whose verdict is remembered; of more than that the oldest are ``unknown`` again."""


class VerdictState(StrEnum):
    """Where a signal stands. All but ``pending`` are final, as long as they are remembered."""

    PENDING = "pending"
    RATED = "rated"
    UNRATED = "unrated"
    EXPIRED = "expired"
    FAILED = "failed"
    OFF = "off"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason`` says in one line why there is no rating; ``analysis`` is there once the signal ended."""

    state: VerdictState
    analysis: LLMAnalysis | None = None
    reason: str | None = None

    @property
    def rating(self) -> int | None:
        """1 (avoid) to 5 (excellent); None without one."""
        return self.analysis.rating if self.analysis is not None else None


UNKNOWN = Verdict(VerdictState.UNKNOWN, None, "no signal of that id was handed over, or it was too long ago")
PENDING = Verdict(VerdictState.PENDING)


class Verdicts:
    """The verdicts of the last signals; every method may be called from any thread and takes microseconds."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Verdict] = OrderedDict()
        self._changed = threading.Condition()

    def get(self, signal_id: str) -> Verdict:
        """The verdict as it stands."""
        try:
            return self._known.get(signal_id, UNKNOWN)
        except TypeError:  # nothing that could be an id
            return UNKNOWN

    def submitted(self, signal_id: str) -> None:
        """The signal was handed over; one that has a verdict keeps it."""
        with self._changed:
            self._known.setdefault(signal_id, PENDING)
            if len(self._known) > MOST_VERDICTS:
                self._known.popitem(last=False)

    def settle(self, signal_id: str, verdict: Verdict) -> None:
        """The signal has its verdict."""
        with self._changed:
            self._known[signal_id] = verdict
            self._changed.notify_all()

    def settle_pending(self, verdict: Verdict) -> None:
        """Every signal that waits has this verdict: nobody is going to answer it here."""
        with self._changed:
            for signal_id in [name for name, known in self._known.items() if known is PENDING]:
                self._known[signal_id] = verdict
            self._changed.notify_all()

    def wait(self, signal_id: str, seconds: float) -> Verdict:
        """The verdict, waited for up to ``seconds``; ``pending`` if it has not come by then."""
        until = time.monotonic() + seconds
        with self._changed:
            while (verdict := self.get(signal_id)) is PENDING and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
        return verdict


def verdict_of(analysis: LLMAnalysis) -> Verdict:
    """What an analysis comes to."""
    if analysis.answered:
        state = VerdictState.RATED if analysis.rated else VerdictState.UNRATED
    else:
        state = VerdictState.EXPIRED if analysis.status is TaskStatus.EXPIRED else VerdictState.FAILED
    return Verdict(state, analysis, analysis.error)
