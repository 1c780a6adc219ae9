"""A record in memory: claims, leases and fences as PostgreSQL keeps them, for tests and hosts without one."""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

from llm_integration.domain import Claim, LLMAnalysis, Opinion, Signal, TaskScope, TaskStatus
from llm_integration.record.errors import UnknownSignalError
from llm_integration.record.outcome_rows import stand_in_claim

__all__ = ["MemoryRecord", "MemoryTables"]

OWN_SECONDS = 2.0
"""A worker's own reservation is left alone for this long: the host is just handing the signal over."""
MOST_FINISHED = 10_000


@dataclass(slots=True)
class TaskRow:
    """One signal's task. Times are seconds on the tables' clock; ``signal`` None: its result came first."""

    task_id: int
    signal: Signal | None
    created_at: float
    endpoint: str | None = None
    simulated: bool | None = None
    status: TaskStatus = TaskStatus.PENDING
    attempts: int = 0
    claim_id: str | None = None
    claimed_by: str | None = None
    claimed_at: float = 0.0
    lease_until: float = 0.0
    spent: Decimal | None = None
    end: LLMAnalysis | None = None
    opinions: list[Opinion] = field(default_factory=list)

    def belong_to(self, worker_id: str | None, now: float, lease_seconds: float) -> None:
        """Give it to a worker; None: to nobody."""
        self.claimed_by, self.claimed_at = worker_id, now
        self.lease_until = 0.0 if worker_id is None else now + lease_seconds


class MemoryTables:
    """What several records share, as several managers share one database. For one event loop.

    Beyond ``most_finished`` tasks that have their end the oldest are forgotten. ``clock`` counts seconds.
    """

    def __init__(
        self, *, most_finished: int = MOST_FINISHED, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self.tasks: dict[str, TaskRow] = {}
        self.leases: dict[str, float] = {}
        """Until when each worker counts as alive."""
        self._most_finished = most_finished
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._numbers = 0

    def add(self, signal_id: str, signal: Signal | None) -> TaskRow:
        """A new task, behind all others."""
        self._numbers += 1
        task = self.tasks[signal_id] = TaskRow(self._numbers, signal, self.clock())
        return task

    def finished(self, signal_id: str) -> None:
        """A task has its end; the oldest such may have to go."""
        self._finished[signal_id] = None
        while len(self._finished) > self._most_finished:
            del self.tasks[self._finished.popitem(last=False)[0]]

    def held_elsewhere(self, task: TaskRow, mine: Collection[str]) -> bool:
        """Whether a worker that is alive and none of ``mine`` holds it."""
        owner, now = task.claimed_by, self.clock()
        if owner is None or owner in mine:
            return False
        return task.lease_until > now or self.leases.get(owner, 0.0) > now


class MemoryRecord:
    """A ``Record`` in dictionaries; what it keeps ends with the process.

    Two of them on the same ``tables`` are two processes on one database. ``now`` is the aware wall clock.
    ``simulated``, once it is set, keeps simulated tasks and real ones apart.
    """

    def __init__(
        self, tables: MemoryTables | None = None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._tables = tables or MemoryTables()
        self._now = now
        self._scope = TaskScope()
        self._workers: set[str] = set()
        self.simulated: bool | None = None

    def work_for(self, scope: TaskScope) -> None:
        """From now on ``claim_waiting`` takes only what ``scope`` allows, and new tasks bear its endpoint."""
        self._scope = scope

    async def record_signals(
        self, signals: Sequence[Signal], *, worker_id: str | None = None, lease_seconds: float = 15.0
    ) -> int:
        """Store signals and their tasks, reserved for the worker; how many are settled: all."""
        self._meet(worker_id)
        for signal in signals:
            self._stored(signal, worker_id, lease_seconds)
        return len(signals)

    async def claim_signals(
        self, signals: Sequence[Signal], *, worker_id: str, lease_seconds: float
    ) -> dict[str, Claim]:
        """Make sure that signals and tasks are stored, and claim those that are free, by signal id."""
        self._meet(worker_id)
        claims: dict[str, Claim] = {}
        for signal in signals:
            task = self._stored(signal, None, 0.0)
            if not task.status.final and not self._tables.held_elsewhere(task, {worker_id}):
                claims[signal.signal_id] = self._claimed(signal.signal_id, task, worker_id, lease_seconds)
                if self.simulated is not None:
                    task.simulated = self.simulated
        return claims

    async def claim_waiting(
        self, *, worker_id: str, limit: int, lease_seconds: float, exclude: Collection[str] = ()
    ) -> list[tuple[Claim, Signal]]:
        """Claim the oldest tasks that wait or were abandoned, as far as ``work_for`` allows."""
        self._meet(worker_id)
        taken: list[tuple[Claim, Signal]] = []
        for signal_id, task, signal in list(self._waiting(worker_id)):
            if len(taken) >= limit:
                break
            if signal_id not in exclude:
                taken.append((self._claimed(signal_id, task, worker_id, lease_seconds), signal))
        return taken

    async def save_outcomes(self, outcomes: Sequence[tuple[LLMAnalysis, Claim | None]]) -> set[str]:
        """Store results and end their tasks; the ids that the fence let through."""
        return {analysis.signal_id for analysis, claim in outcomes if self._accepted(analysis, claim)}

    async def finished_analyses(self, signal_ids: Sequence[str]) -> list[LLMAnalysis]:
        """How those of these signals ended that have their end."""
        found = (self._tables.tasks.get(signal_id) for signal_id in dict.fromkeys(signal_ids))
        return [task.end for task in found if task is not None and task.end is not None]

    async def save_opinions(self, signal_id: str, opinions: Sequence[Opinion]) -> None:
        """Store what shadows said about a signal. Raises UnknownSignalError when it has no task."""
        if not opinions:
            return
        task = self._tables.tasks.get(signal_id)
        if task is None:
            raise UnknownSignalError(f"there is no task of signal {signal_id!r}")
        task.opinions += opinions

    async def get_opinions(self, signal_ids: Sequence[str]) -> dict[str, tuple[Opinion, ...]]:
        """The single readings behind the answers to these signals; a signal without any is missing."""
        tasks = {signal_id: self._tables.tasks.get(signal_id) for signal_id in signal_ids}
        return {name: tuple(task.opinions) for name, task in tasks.items() if task and task.opinions}

    async def release(self, claims: Sequence[Claim]) -> None:
        """Make claimed tasks ``pending`` again, free for anybody; claims that are void are passed over."""
        for claim in claims:
            task = self._tables.tasks.get(claim.signal_id)
            if task is not None and not task.status.final and task.claim_id == claim.claim_id:
                task.status, task.claim_id = TaskStatus.PENDING, None
                task.belong_to(None, 0.0, 0.0)

    async def heartbeat(self, worker_id: str, *, lease_seconds: float) -> None:
        """Extend the worker's lease from now."""
        self._meet(worker_id)
        self._tables.leases[worker_id] = self._tables.clock() + lease_seconds

    async def retire_worker(self, worker_id: str) -> None:
        """End the worker's lease; its claims stay good until somebody else is given the task."""
        self._tables.leases.pop(worker_id, None)
        self._workers.discard(worker_id)
        for task in self._tables.tasks.values():
            if task.claimed_by == worker_id and not task.status.final:
                task.status = TaskStatus.PENDING
                task.belong_to(None, 0.0, 0.0)

    def _meet(self, worker_id: str | None) -> None:
        """Remember who speaks through this record: an outcome without a claim may end their tasks."""
        if worker_id is not None:
            self._workers.add(worker_id)

    def _stored(self, signal: Signal, worker_id: str | None, lease_seconds: float) -> TaskRow:
        """The signal's task; of one that is there only what is not known yet is filled in."""
        task = self._tables.tasks.get(signal.signal_id)
        if task is None:
            task = self._tables.add(signal.signal_id, signal)
            task.endpoint, task.simulated = self._scope.endpoint, self.simulated
            task.belong_to(worker_id, self._tables.clock(), lease_seconds)
        elif task.signal is None:
            task.signal = signal
        elif not task.signal.bars and signal.bars:
            task.signal = replace(task.signal, bars=signal.bars)
        return task

    def _claimed(self, signal_id: str, task: TaskRow, worker_id: str, lease_seconds: float) -> Claim:
        now = self._tables.clock()
        task.status, task.claim_id = TaskStatus.PROCESSING, str(uuid.uuid4())
        task.attempts += 1
        task.belong_to(worker_id, now, lease_seconds)
        task.endpoint = self._scope.endpoint or task.endpoint
        return Claim(task.task_id, signal_id, task.claim_id, task.attempts, now - task.created_at)

    def _waiting(self, worker_id: str) -> Iterator[tuple[str, TaskRow, Signal]]:
        """The tasks that this worker may take, oldest first."""
        tables, scope, now = self._tables, self._scope, self._tables.clock()
        for signal_id, task in tables.tasks.items():
            if task.status.final or task.signal is None or tables.held_elsewhere(task, {worker_id}):
                continue
            mine = task.claimed_by == worker_id
            just_now = mine and task.claimed_at > now - OWN_SECONDS
            kind = self.simulated is None or self.simulated == bool(task.simulated)
            session = scope.sessions is None or mine or task.signal.session_id in scope.sessions
            if not just_now and kind and session and self._asked_here(task):
                yield signal_id, task, task.signal

    def _asked_here(self, task: TaskRow) -> bool:
        wanted, meant = self._scope.endpoint, task.endpoint
        return self._scope.any_endpoint or wanted is None or meant is None or meant == wanted

    def _accepted(self, analysis: LLMAnalysis, claim: Claim | None) -> bool:
        """The fence: whether this is the end of its task, now or since the same was saved before."""
        claim_id = stand_in_claim(analysis) if claim is None else claim.claim_id
        task = self._tables.tasks.get(analysis.signal_id)
        if task is None:
            if claim is not None:
                return False
            task = self._tables.add(analysis.signal_id, None)
        elif task.status.final and task.claim_id == claim_id:
            return True
        elif claim is not None:
            if task.status.final or task.claim_id != claim_id:
                return False
        elif task.status.final or self._tables.held_elsewhere(task, self._workers):
            return False
        self._end(task, analysis, claim_id)
        return True

    def _end(self, task: TaskRow, analysis: LLMAnalysis, claim_id: str) -> None:
        if analysis.cost_usd is not None:
            task.spent = (task.spent or Decimal(0)) + analysis.cost_usd
        task.status, task.claim_id, task.lease_until = TaskStatus(analysis.status), claim_id, 0.0
        task.opinions = list(analysis.opinions)
        if task.status is TaskStatus.COMPLETED:
            task.end = replace(analysis, task_id=task.task_id, opinions=())
        else:
            task.end = LLMAnalysis(
                analysis.signal_id, task.status, task.task_id, error=analysis.error or "no reason given",
                cost_usd=task.spent, processed_at=self._now(),
            )  # fmt: skip
        self._tables.finished(analysis.signal_id)
