"""Answers on their way to PostgreSQL and to the host: which are stored next, which are handed on. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice

from llm_integration.domain import LLMAnalysis
from llm_integration.worker.tasks import Task

__all__ = ["Acceptance", "Answer", "Answers"]

CONTESTED_LEASES = 1.5
"""For how many leases an answer waits for the lease of another worker on its task to run out."""
CONTESTED_PAUSE_SECONDS = 1.0


class Acceptance(Enum):
    """What PostgreSQL says about an answer."""

    OPEN = auto()
    OURS = auto()
    REFUSED = auto()


@dataclass(slots=True, eq=False)
class Answer:
    """A task's analysis. ``due``: when the host gets it though PostgreSQL has said nothing.

    ``kept``: the outbox has it; ``delivered``: the host has it. ``contested_until``: another worker holds the
    task, and until then it may be a dead one.
    """

    task: Task
    analysis: LLMAnalysis
    due: float
    verdict: Acceptance = Acceptance.OPEN
    delivered: bool = False
    kept: bool = False
    contested_until: float | None = None


class Answers:
    """What was read and is not in PostgreSQL, or not with the host. Times are seconds on one clock.

    Both get answers in the order in which they were read. One without a claim, reached while PostgreSQL was
    away, may meet another worker's claim: it is tried again until that one's lease has run out, rather than
    have the signal asked about, and paid for, once more.
    """

    def __init__(self, *, lease_seconds: float, patience: float) -> None:
        self._lease = lease_seconds
        self._patience = patience
        self._unstored: deque[Answer] = deque()
        self._contested: deque[tuple[float, Answer]] = deque()
        self._undelivered: deque[Answer] = deque()
        self._tasks: dict[str, Task] = {}
        self.taken = 0
        self.settled = 0
        self.refused = 0

    def __contains__(self, signal_id: object) -> bool:
        return signal_id in self._tasks

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def get(self, signal_id: str) -> Task | None:
        """The task whose answer is not settled yet."""
        return self._tasks.get(signal_id)

    @property
    def unstored(self) -> int:
        """Answers that PostgreSQL does not have."""
        return len(self._unstored) + len(self._contested)

    @property
    def undelivered(self) -> int:
        """Answers that the host does not have."""
        return len(self._undelivered)

    def put(self, task: Task, analysis: LLMAnalysis, now: float, *, hurry: bool = False) -> Answer:
        """An answer was read; O(1). ``hurry``: PostgreSQL is known to be away, the host need not wait."""
        answer = Answer(task, analysis, now if hurry else now + self._patience)
        self._unstored.append(answer)
        self._undelivered.append(answer)
        self._tasks[task.signal_id] = task
        self.taken += 1
        return answer

    # To PostgreSQL

    def next_batch(self, size: int, now: float) -> list[Answer]:
        """The up to ``size`` answers to be stored next; contested ones whose pause is over come last."""
        while self._contested and self._contested[0][0] <= now:
            self._unstored.append(self._contested.popleft()[1])
        return list(islice(self._unstored, size))

    def waits_to_be_stored(self, now: float) -> float | None:
        """Seconds until ``next_batch`` has something; None: not before another answer is read."""
        if self._unstored:
            return 0.0
        return max(0.0, self._contested[0][0] - now) if self._contested else None

    def settle(self, batch: list[Answer], accepted: set[str], now: float) -> list[Answer]:
        """PostgreSQL has said which of ``batch``, the oldest, are ours; those that wait no longer."""
        settled = []
        for answer in batch:
            self._unstored.popleft()
            if answer.task.signal_id in accepted:
                answer.verdict = Acceptance.OURS
            elif self._contest(answer, now):
                continue
            else:
                answer.verdict = Acceptance.REFUSED
                self.refused += 1
            settled.append(answer)
            if self._tasks.get(answer.task.signal_id) is answer.task:
                del self._tasks[answer.task.signal_id]
        self.settled += len(settled)
        return settled

    def _contest(self, answer: Answer, now: float) -> bool:
        """Another worker holds the task of an answer without a claim: True while it may be dead."""
        if answer.task.claim is not None:
            return False
        if answer.contested_until is None:
            answer.contested_until = now + CONTESTED_LEASES * self._lease
        if now >= answer.contested_until:
            return False
        self._contested.append((now + CONTESTED_PAUSE_SECONDS, answer))
        return True

    def all_unstored(self) -> Iterator[Answer]:
        """Everything that PostgreSQL does not have; not to be changed meanwhile."""
        yield from self._unstored
        for _, answer in self._contested:
            yield answer

    # To the host

    def next_for_host(self, now: float) -> Answer | None:
        """The oldest answer that the host does not have, if it is due; it is the caller's now.

        It is due when PostgreSQL has said whose it is, and at the latest ``patience`` after it was read.
        What PostgreSQL has refused by then is left out.
        """
        while self._undelivered:
            answer = self._undelivered[0]
            if answer.verdict is Acceptance.OPEN and now < answer.due:
                return None
            self._undelivered.popleft()
            if answer.verdict is not Acceptance.REFUSED:
                answer.delivered = True
                return answer
        return None

    def waits_for_host(self, now: float) -> float | None:
        """Seconds until ``next_for_host`` has something without a word of PostgreSQL; None: nothing waits."""
        return max(0.0, self._undelivered[0].due - now) if self._undelivered else None

    def hurry(self) -> None:
        """PostgreSQL is away: nothing that waits for the host waits for it any longer."""
        for answer in self._undelivered:
            answer.due = 0.0
