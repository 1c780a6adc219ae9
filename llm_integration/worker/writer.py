"""Writes finished analyses in batches: PostgreSQL first, then CSV and the host's callbacks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import islice

from llm_integration.domain import LLMAnalysis
from llm_integration.worker.jobs import Job, log_line, one_line
from llm_integration.worker.ports import AnalysisSink, TaskDatabase, WorkerOutbox

__all__ = ["ResultWriter"]

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 5.0
CANCEL_SECONDS = 0.2
CONTESTED_LEASES = 1.5
"""For how many leases a result waits for the lease of another worker on its task to run out."""
CONTESTED_PAUSE_SECONDS = 1.0
LARGEST_BATCH = 32
"""Results stored with one statement."""
HANDED_ON_AT_ONCE = 8
"""Results handed to CSV and callbacks, and logged, before the host's loop gets its turn."""
SPACING_SECONDS = 0.01
"""Statements follow one another no faster: under load, the results that come meanwhile share the next."""
KEPT_AT_ONCE = 200
"""Results handed to the outbox in one go: a fraction of a millisecond."""


@dataclass(slots=True)
class _Outcome:
    job: Job
    analysis: LLMAnalysis
    delivered: bool = False
    kept: bool = False
    contested_until: float | None = None


class ResultWriter:
    """Finished analyses on their way out; bounded by the caller through ``unwritten``.

    While PostgreSQL does not answer, results wait here and in the ``outbox`` on disk, and are tried again
    for ever; CSV and callbacks get them after the first refusal, each exactly once. A result that was
    reached without a claim, because PostgreSQL was away then, is claimed before it is stored. If another
    worker holds its task, which may be one that has died, the result waits for that one's lease to run out
    rather than have the signal asked about, and paid for, once more.
    """

    def __init__(
        self,
        database: TaskDatabase | None,
        sink: AnalysisSink | None,
        deliver: Callable[[LLMAnalysis], None],
        *,
        batch_size: int,
        worker_id: str = "",
        lease_seconds: float = 20.0,
        outbox: WorkerOutbox | None = None,
        patience: float = 0.25,
        on_written: Callable[[], None] = lambda: None,
        settled: Callable[[Job], None] = lambda _job: None,
        refused: Callable[[Job], None] = lambda _job: None,
        turn: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._worker_id = worker_id
        self._lease_seconds = lease_seconds
        self._outbox = outbox
        self._patience = patience
        self._on_written = on_written
        self._tell_settled = settled
        self._tell_refused = refused
        self._turn = turn
        self._clock = clock
        self._sink = sink
        self._deliver_to_callbacks = deliver
        self._batch_size = min(batch_size, LARGEST_BATCH)
        self._waiting: deque[_Outcome] = deque()
        self._contested: deque[tuple[float, _Outcome]] = deque()
        self._held: dict[str, Job] = {}
        self._arrived = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._moved = asyncio.Event()
        self._taken = 0
        self._gone = 0
        self._next_at = 0.0
        self.database_error: str | None = None
        self.refused = 0
        self.lost = 0

    @property
    def unwritten(self) -> int:
        """Results that PostgreSQL does not have yet."""
        return len(self._waiting) + len(self._contested)

    def holds(self) -> Mapping[str, Job]:
        """The signals whose results are still waiting, by id."""
        return self._held

    def put(self, job: Job, analysis: LLMAnalysis) -> None:
        """Take one result; O(1)."""
        outcome = _Outcome(job, analysis)
        self._waiting.append(outcome)
        self._held[job.signal_id] = job
        self._taken += 1
        if self.database_error is not None:
            self._keep(outcome)
        self._empty.clear()
        self._arrived.set()

    async def wait_until_empty(self) -> None:
        """Return once every result is written."""
        await self._empty.wait()

    async def wait_until_written(self) -> None:
        """Return once every result that was taken up to now is written, whatever comes after it."""
        goal = self._taken
        while self._gone < goal:
            self._moved.clear()
            await self._moved.wait()

    async def run(self) -> None:
        """Write what arrives, for ever."""
        pause = FIRST_RETRY_SECONDS
        while True:
            await self._wait_for_work()
            await self._gather()
            if await self.write_batch():
                pause = FIRST_RETRY_SECONDS
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_RETRY_SECONDS)

    async def _wait_for_work(self) -> None:
        """Until a result arrives, or a contested one is to be tried again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._contested_in()):
                await self._arrived.wait()
        while self._contested and self._contested[0][0] <= self._clock():
            self._waiting.append(self._contested.popleft()[1])

    async def _gather(self) -> None:
        """Let a statement that follows close upon another bring more than one result along."""
        loop = asyncio.get_running_loop()
        wait = self._next_at - loop.time()
        if 0 < wait <= SPACING_SECONDS and len(self._waiting) < self._batch_size:
            await asyncio.sleep(wait)
        self._next_at = loop.time() + SPACING_SECONDS

    def _contested_in(self) -> float | None:
        return max(0.0, self._contested[0][0] - self._clock()) if self._contested else None

    async def write_batch(self) -> bool:
        """Write the oldest results; False when PostgreSQL did not take them and they wait."""
        batch = [self._waiting[index] for index in range(min(self._batch_size, len(self._waiting)))]
        accepted = await self._store(batch)
        if accepted is None:
            await self._hand_on(batch)
            return False
        await self._hand_on(self._settle(batch, accepted))
        self._moved.set()
        if not self._waiting:
            self._arrived.clear()
        if not self.unwritten:
            self._empty.set()
        self._on_written()
        return True

    def _settle(self, batch: list[_Outcome], accepted: set[str]) -> list[_Outcome]:
        """The oldest results wait no longer; those that PostgreSQL has, to be handed on."""
        stored: list[_Outcome] = []
        for outcome in batch:
            self._waiting.popleft()
            if outcome.job.signal_id not in accepted and self._contest(outcome):
                continue
            self._gone += 1
            if self._held.get(outcome.job.signal_id) is outcome.job:
                del self._held[outcome.job.signal_id]
            self._tell_settled(outcome.job)
            if outcome.kept and self._outbox is not None:
                self._outbox.forget_outcome(outcome.job.signal)
            if outcome.job.signal_id in accepted:
                stored.append(outcome)
            else:
                self._refuse(outcome)
        return stored

    async def _hand_on(self, outcomes: list[_Outcome]) -> None:
        """To CSV and callbacks, a few in each turn of the loop; all of them at once if this is cancelled."""
        waiting = deque(outcomes)
        try:
            while waiting:
                for _ in range(min(HANDED_ON_AT_ONCE, len(waiting))):
                    self._deliver(waiting.popleft())
                if waiting:
                    await self._turn()
        finally:
            for outcome in waiting:
                self._deliver(outcome)

    def _contest(self, outcome: _Outcome) -> bool:
        """Another worker holds the task of a result without a claim: True while it may be dead."""
        if outcome.job.claim is not None:
            return False
        now = self._clock()
        if outcome.contested_until is None:
            outcome.contested_until = now + CONTESTED_LEASES * self._lease_seconds
            self._keep(outcome)
        if now >= outcome.contested_until:
            return False
        self._contested.append((now + CONTESTED_PAUSE_SECONDS, outcome))
        return True

    async def _store(self, batch: list[_Outcome]) -> set[str] | None:
        if self._database is None or not batch:
            return {outcome.job.signal_id for outcome in batch}
        storing = asyncio.create_task(self._claim_and_save(self._database, batch), name="storing results")
        try:
            await asyncio.wait({storing}, timeout=self._patience)
            if not storing.done():
                await self._keep_all()
            accepted = await storing
        except asyncio.CancelledError:
            self._keep_the_rest()
            await self._end(storing)
            raise
        except Exception as error:
            if not getattr(error, "retryable", True):
                return self._give_up(batch, error)
            self._announce(error)
            await self._keep_all()
            return None
        self._announce(None)
        return accepted

    @staticmethod
    async def _end(storing: asyncio.Task[set[str]]) -> None:
        storing.cancel()
        await asyncio.wait({storing}, timeout=CANCEL_SECONDS)
        if storing.done() and not storing.cancelled():
            storing.exception()  # seen: the results are in the outbox, or repeated by the next run

    async def _claim_and_save(self, database: TaskDatabase, batch: list[_Outcome]) -> set[str]:
        unclaimed = [outcome.job for outcome in batch if outcome.job.claim is None]
        if unclaimed:
            claims = await database.claim_signals(
                [job.signal for job in unclaimed],
                worker_id=self._worker_id, lease_seconds=self._lease_seconds,
            )  # fmt: skip
            for job in unclaimed:
                job.claim = claims.get(job.signal_id)
        await self._turn()
        ready = [(outcome.analysis, outcome.job.claim) for outcome in batch if outcome.job.claim is not None]
        return await database.save_outcomes(ready) if ready else set()

    async def _keep_all(self) -> None:
        """Everything that waits goes to the outbox too, in slices that the host's loop does not feel."""
        for start in range(0, len(self._waiting), KEPT_AT_ONCE):
            for outcome in islice(self._waiting, start, start + KEPT_AT_ONCE):
                self._keep(outcome)
            await asyncio.sleep(0)

    def _keep_the_rest(self) -> None:
        for outcome in [*self._waiting, *(outcome for _, outcome in self._contested)]:
            self._keep(outcome)

    def _keep(self, outcome: _Outcome) -> None:
        if self._outbox is None or outcome.kept:
            return
        outcome.kept = True
        self._outbox.keep_outcome(outcome.job.signal, outcome.analysis, outcome.job.claim)

    def _give_up(self, batch: list[_Outcome], error: Exception) -> set[str]:
        self.lost += len(batch)
        ids = ", ".join(one_line(outcome.job.signal_id) for outcome in batch[:5])
        logger.error("PostgreSQL refuses the results of %d signal(s) (%s ...): %s", len(batch), ids, error)
        return {outcome.job.signal_id for outcome in batch}

    def _announce(self, error: Exception | None) -> None:
        message = None if error is None else one_line(f"{error}", 300)
        if message is not None and self.database_error is None:
            logger.warning("PostgreSQL does not take results (%s); they wait and are tried again", message)
        elif message is None and self.database_error is not None:
            logger.warning("PostgreSQL takes results again")
        self.database_error = message

    def _deliver(self, outcome: _Outcome) -> None:
        if outcome.delivered:
            return
        outcome.delivered = True
        if logger.isEnabledFor(logging.INFO):
            logger.info("%s", log_line(outcome.analysis))
        if outcome.job.adopted:
            return
        if self._sink is not None:
            self._sink.write_analysis(outcome.job.signal, outcome.analysis)
        self._deliver_to_callbacks(outcome.analysis)

    def _refuse(self, outcome: _Outcome) -> None:
        self.refused += 1
        logger.warning(
            "signal %s: another worker has finished or holds this task; this answer is not stored",
            one_line(outcome.job.signal_id),
        )
        if not outcome.delivered:
            self._tell_refused(outcome.job)
