"""The line of tasks that are to be asked about, and those that wait for a moment of their own. Pure."""

from __future__ import annotations

import heapq
import itertools
from collections import deque

from llm_integration.worker.tasks import Phase, Task

__all__ = ["Line"]


class Line:
    """Tasks in the order in which they are asked about. What is taken is in the caller's hand."""

    def __init__(self) -> None:
        self._next: deque[Task] = deque()
        self._parked: list[tuple[float, int, Task]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._next)

    @property
    def parked(self) -> int:
        """Tasks that wait for a moment of their own."""
        return len(self._parked)

    def wakes_in(self, now: float) -> float | None:
        """Seconds until a parked task is to be asked about; None when none is parked."""
        return max(0.0, self._parked[0][0] - now) if self._parked else None

    def append(self, task: Task) -> None:
        """It comes after all that are in line."""
        task.phase = Phase.IN_LINE
        self._next.append(task)

    def insert(self, task: Task) -> None:
        """It comes before all that were accepted later."""
        task.phase = Phase.IN_LINE
        later = (place for place, other in enumerate(self._next) if other.accepted_at > task.accepted_at)
        self._next.insert(next(later, len(self._next)), task)

    def park(self, task: Task, wake_at: float) -> None:
        """Others pass it until ``wake_at``, or until it is too old."""
        task.phase = Phase.PARKED
        heapq.heappush(self._parked, (min(wake_at, task.deadline), next(self._numbers), task))

    def take(self, room: int, now: float) -> list[Task]:
        """Up to ``room`` tasks: those in line, then parked ones whose moment has come."""
        tasks = [self._next.popleft() for _ in range(min(room, len(self._next)))]
        while len(tasks) < room and (due := self._next_due(now)) is not None:
            tasks.append(due)
        for task in tasks:
            task.phase = Phase.IN_HAND
        return tasks

    def take_expired(self, now: float) -> Task | None:
        """One that is too old; parked ones whose moment has come are in line from now on."""
        while (due := self._next_due(now)) is not None:
            self.insert(due)
        found = next((task for task in self._next if now >= task.deadline), None)
        return None if found is None else self._take_out(found)

    def take_claimed_ahead(self) -> list[Task]:
        """Those of the host's that were claimed before it was their turn, and to which nothing happened."""
        ahead = [task for task in self._next if task.from_memory and task.claim and not task.has_history]
        return [self._take_out(task) for task in ahead]

    def clear(self) -> None:
        """Nobody is next any more."""
        self._next.clear()
        self._parked.clear()

    def _take_out(self, task: Task) -> Task:
        self._next.remove(task)
        task.phase = Phase.IN_HAND
        return task

    def _next_due(self, now: float) -> Task | None:
        return heapq.heappop(self._parked)[2] if self._parked and self._parked[0][0] <= now else None
