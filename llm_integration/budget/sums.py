"""What counts in the present windows of budgets, by a wall clock that may be set, wrong or put right again.

The wall clock says which hour, day or month it is; a steady clock says how long that has really lasted. What
was spent counts until its window is over by the wall clock *and* has lasted its length by the steady one, so
that a clock which steps gives no budget twice. A window that the wall clock comes back to goes on. And none
counts for longer than twice its length, so that one wrong moment closes no budget for good. Pure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from llm_integration.budget.rules import Rule, Spend
from llm_integration.budget.windows import Window

__all__ = ["Bucket", "RunningSums", "steady_seconds"]

STEP_SECONDS = 1.0
"""Two clocks that differ by less since they were last read have run together."""
MOST_CARRIED = 50


def steady_seconds() -> float:
    """Seconds of a clock that nobody can set; if possible, one that runs on while the machine sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


@dataclass(slots=True, eq=False)
class Bucket:
    """What is counted in one window. ``opened`` is when it began, by the steady clock; it is ``length``
    seconds long.
    """

    start: datetime
    length: float
    opened: float
    spend: Spend = field(default_factory=Spend)

    def over(self, steady: float) -> bool:
        """Whether it has lasted its length."""
        return steady >= self.opened + self.length - STEP_SECONDS


class RunningSums:
    """The present bucket of each scope, and earlier ones whose time is not over yet.

    ``clock`` gives the wall clock as an aware datetime, ``steady`` seconds from anywhere.
    """

    def __init__(
        self, rules: Iterable[Rule], clock: Callable[[], datetime], steady: Callable[[], float]
    ) -> None:
        self._rules = {rule.scope: rule for rule in rules}
        self._clock, self._steady_clock = clock, steady
        self._wall, self._steady = clock(), steady()
        self._present: dict[str, Bucket] = {}
        self._carried: dict[str, list[Bucket]] = {scope: [] for scope in self._rules}
        self.now()

    def now(self) -> datetime:
        """The wall clock's time, by which windows have turned."""
        wall, steady = self._clock(), self._steady_clock()
        apart = (wall - self._wall).total_seconds() - (steady - self._steady)
        self._wall, self._steady = wall, steady
        for scope, rule in self._rules.items():
            self._turn(scope, rule.window(wall), stepped=abs(apart) > STEP_SECONDS)
        return wall

    def present(self, rule: Rule) -> Bucket:
        """Where a request of this moment counts, as of the last ``now``."""
        return self._present[rule.scope]

    def spends(self) -> dict[str, Spend]:
        """All that counts, by scope, as of the last ``now``."""
        sums = {}
        for scope, bucket in self._present.items():
            spend = bucket.spend
            for carried in self._carried[scope]:
                spend = spend.plus(carried.spend)
            sums[scope] = spend
        return sums

    def renewed_in(self, rules: Iterable[Rule]) -> float | None:
        """Seconds until something of ``rules`` that a step of the clock keeps no longer counts; else None."""
        kept = [bucket for rule in rules for bucket in self._kept(rule)]
        return min((max(0.0, item.opened + item.length - self._steady) for item in kept), default=None)

    def _kept(self, rule: Rule) -> list[Bucket]:
        present = self._present[rule.scope]
        held = [] if present.start == rule.window(self._wall).start else [present]
        return self._carried[rule.scope] + held

    def _turn(self, scope: str, window: Window, *, stepped: bool) -> None:
        steady = self._steady
        carried = self._carried[scope] = [item for item in self._carried[scope] if not item.over(steady)]
        present = self._present.get(scope)
        if present is not None and present.start == window.start:
            if steady >= present.opened + 2 * present.length:  # a clock that stands still
                self._present[scope] = self._bucket(window, stepped=True)
            return
        if present is not None and not present.over(steady):
            back = next((item for item in carried if item.start == window.start), None)
            if back is None and (window.start < present.start or len(carried) >= MOST_CARRIED):
                return  # put back over the beginning of a window, which is not begun twice
            carried.append(present)
            if back is not None:
                carried.remove(back)
                self._present[scope] = back
                return
        self._present[scope] = self._bucket(window, stepped=stepped and present is not None)

    def _bucket(self, window: Window, *, stepped: bool) -> Bucket:
        """A new one; that of a window that was reached by a step begins now, not when the window did."""
        begun = 0.0 if stepped else (self._wall - window.start).total_seconds()
        return Bucket(window.start, (window.end - window.start).total_seconds(), self._steady - begun)
