"""Writes finished analyses to PostgreSQL in batches; the host gets them in its own time (``Delivery``)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice

from llm_integration.domain import LLMAnalysis, Signal
from llm_integration.worker.delivery import Delivery, Outcome, Verdict
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
SPACING_SECONDS = 0.01
"""Statements follow one another no faster: under load, the results that come meanwhile share the next."""
KEPT_AT_ONCE = 200
"""Results handed to the outbox in one go: a fraction of a millisecond."""


class ResultWriter:
    """Finished analyses on their way into PostgreSQL; bounded by the caller through ``unwritten``.

    While PostgreSQL does not answer, results wait here and in the ``outbox`` on disk, and are tried again
    for ever; ``delivery`` hands each to CSV and callbacks in time, whatever becomes of it here. A result that
    was reached without a claim, because PostgreSQL was away then, is claimed before it is stored. If another
    worker holds its task, which may be one that has died, the result waits for that one's lease to run out
    rather than have the signal asked about, and paid for, once more.

    ``run`` and ``delivery.run`` are tasks of the caller. ``end`` has ``run`` return once nothing is left for
    it; ``close`` is the last word, after which a result that still comes goes to host and outbox at once.
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
        self._one_by_one = 0
        self.delivery = Delivery(self._hand_on, turn=turn)
        self._waiting: deque[Outcome] = deque()
        self._contested: deque[tuple[float, Outcome]] = deque()
        self._held: dict[str, Job] = {}
        self._arrived = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._moved = asyncio.Event()
        self._end_asked = asyncio.Event()
        self._late = False
        self._closed = False
        self._taken = 0
        self._gone = 0
        self._next_at = 0.0
        self.database_error: str | None = None
        self.refused = 0
        self.lost = 0
        self.sink_errors = 0

    @property
    def unwritten(self) -> int:
        """Results that PostgreSQL does not have yet."""
        return len(self._waiting) + len(self._contested)

    def holds(self) -> Mapping[str, Job]:
        """The signals whose results are still waiting, by id."""
        return self._held

    def put(self, job: Job, analysis: LLMAnalysis) -> None:
        """Take one result; O(1)."""
        outcome = Outcome(job, analysis)
        self._waiting.append(outcome)
        self._held[job.signal_id] = job
        self._taken += 1
        self._empty.clear()
        self._arrived.set()
        away = self.database_error is not None
        if away or self._late or self._closed:
            self._keep(outcome)
        self.delivery.put(outcome, at_once=away)
        if self._closed:
            self._write_nowhere()

    def end(self) -> None:
        """No more results are to be expected: ``run`` returns once it has done what can be done."""
        self._end_asked.set()
        self._arrived.set()

    def close(self) -> None:
        """Nobody writes any more: whatever is left is the outbox's, and the host's at once."""
        if not self._closed:
            self._closed = True
            self._keep_the_rest()
            self.delivery.close()
            self._write_nowhere()

    def _write_nowhere(self) -> None:
        """Without a database a result that the host has is done."""
        if self._database is None:
            batch = list(self._waiting)
            self._settle(batch, {outcome.job.signal_id for outcome in batch})
            self._empty.set()

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
        """Write what arrives, until ``end`` and for as long as there is hope of writing it."""
        pause = FIRST_RETRY_SECONDS
        while not (self._end_asked.is_set() and not self.unwritten):
            await self._wait_for_work()
            await self._gather()
            if await self.write_batch():
                pause = FIRST_RETRY_SECONDS
                if self._end_asked.is_set() and not self._waiting and self._all_kept():
                    return  # contested ones are left, for the next run
                await asyncio.sleep(0)
            elif self._end_asked.is_set() and self._all_kept():
                return
            else:
                await self._rest(pause)
                pause = min(pause * 2, LONGEST_RETRY_SECONDS)

    def _all_kept(self) -> bool:
        return all(outcome.kept for outcome in self._unwritten())

    def _unwritten(self) -> list[Outcome]:
        return [*self._waiting, *(outcome for _, outcome in self._contested)]

    async def _rest(self, pause: float) -> None:
        """Between two tries; the end is in a hurry."""
        if self._end_asked.is_set():
            await asyncio.sleep(FIRST_RETRY_SECONDS)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._end_asked.wait()

    async def _wait_for_work(self) -> None:
        """Until a result arrives, or a contested one is to be tried again."""
        if self._end_asked.is_set():
            await asyncio.sleep(0.0 if self._waiting else self._contested_in() or 0.0)
        else:
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
        alone = self._one_by_one
        size = 1 if alone else self._batch_size
        batch = [self._waiting[index] for index in range(min(size, len(self._waiting)))]
        accepted = await self._store(batch)
        if accepted is None:
            return self._one_by_one > alone  # refused together: tried one by one, without a pause
        self._one_by_one = max(0, alone - 1)
        self._settle(batch, accepted)
        self.delivery.look()
        self._moved.set()
        if not self._waiting:
            self._arrived.clear()
        if not self.unwritten:
            self._empty.set()
        self._on_written()
        return True

    def _settle(self, batch: list[Outcome], accepted: set[str]) -> None:
        """The oldest results wait no longer: PostgreSQL has said whose they are."""
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
                outcome.verdict = Verdict.OURS
            else:
                self._refuse(outcome)

    def _contest(self, outcome: Outcome) -> bool:
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

    async def _store(self, batch: list[Outcome]) -> set[str] | None:
        """The ids that are ours. None: PostgreSQL did not take them, or not all of them together."""
        if self._database is None or not batch:
            return {outcome.job.signal_id for outcome in batch}
        storing = asyncio.create_task(self._claim_and_save(self._database, batch), name="storing results")
        try:
            await asyncio.wait({storing}, timeout=self._patience)
            if not storing.done():
                self._late = True
                await self._keep_all()
            accepted = await storing
        except asyncio.CancelledError:
            self._keep_the_rest()
            await self._end(storing)
            raise
        except Exception as error:
            if not getattr(error, "retryable", True):
                return self._refused_together(batch, error)
            self._announce(error)
            await self._keep_all()
            return None
        finally:
            self._late = False
        self._announce(None)
        return accepted

    def _refused_together(self, batch: list[Outcome], error: Exception) -> set[str] | None:
        """What is wrong with one of them must not cost the others their place: each is tried alone."""
        if len(batch) > 1:
            self._one_by_one = len(batch)
            return None
        return self._give_up(batch[0], error)

    @staticmethod
    async def _end(storing: asyncio.Task[set[str]]) -> None:
        storing.cancel()
        await asyncio.wait({storing}, timeout=CANCEL_SECONDS)
        if storing.done() and not storing.cancelled():
            storing.exception()  # seen: the results are in the outbox, or repeated by the next run

    async def _claim_and_save(self, database: TaskDatabase, batch: list[Outcome]) -> set[str]:
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
        for outcome in self._unwritten():
            self._keep(outcome)

    def _keep(self, outcome: Outcome) -> None:
        if self._outbox is None or outcome.kept:
            return
        outcome.kept = True
        self._outbox.keep_outcome(outcome.job.signal, outcome.analysis, outcome.job.claim)

    def _give_up(self, outcome: Outcome, error: Exception) -> set[str]:
        self.lost += 1
        logger.error("PostgreSQL refuses the result of signal %s: %s", one_line(outcome.job.signal_id), error)
        return {outcome.job.signal_id}

    def _announce(self, error: Exception | None) -> None:
        message = None if error is None else one_line(f"{error}", 300)
        if message is not None and self.database_error is None:
            logger.warning("PostgreSQL does not take results (%s); they wait and are tried again", message)
            self.delivery.hurry()
        elif message is None and self.database_error is not None:
            logger.warning("PostgreSQL takes results again")
        self.database_error = message

    def _hand_on(self, outcome: Outcome) -> None:
        if logger.isEnabledFor(logging.INFO):
            logger.info("%s", log_line(outcome.analysis))
        if not outcome.job.adopted:
            self.hand_to_host(outcome.job.signal, outcome.analysis)

    def hand_to_host(self, signal: Signal, analysis: LLMAnalysis) -> None:
        """To its files and its callbacks; the fault of one costs the other nothing."""
        if self._sink is not None:
            try:
                self._sink.write_analysis(signal, analysis)
            except Exception as error:
                self._sink_failed(error)
        self._deliver_to_callbacks(analysis)

    def _sink_failed(self, error: Exception) -> None:
        """A fault of the files costs their row and nothing else: no callback waits for it."""
        self.sink_errors += 1
        if self.sink_errors == 1:
            logger.error(
                "the files did not take a result (%s); further ones are only counted (sink_errors)",
                type(error).__name__, exc_info=error,
            )  # fmt: skip

    def _refuse(self, outcome: Outcome) -> None:
        """Another worker was first. What the host has already it keeps; else it gets that one's answer."""
        self.refused += 1
        outcome.verdict = Verdict.REFUSED
        logger.warning(
            "signal %s: another worker has finished or holds this task; this answer is not stored",
            one_line(outcome.job.signal_id),
        )
        if not outcome.delivered:
            self._tell_refused(outcome.job)
