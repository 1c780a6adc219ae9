"""Storing: answers go to PostgreSQL in batches, and to the outbox while it does not have them."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from llm_integration.domain import LLMAnalysis
from llm_integration.fairness import KEPT_AT_ONCE
from llm_integration.one_line import one_line
from llm_integration.ports import Record
from llm_integration.worker.answers import Acceptance, Answer
from llm_integration.worker.delivering import Delivering
from llm_integration.worker.shared import Shared
from llm_integration.worker.tasks import Task

__all__ = ["Storing"]

logger = logging.getLogger(__name__)

LAST_RETRY_SECONDS = 0.25
"""Between two tries once the end is asked for."""
CANCEL_SECONDS = 0.2
PATIENCE_SECONDS = 0.25
"""How long one statement may take before what waits is kept on disk, too."""
LARGEST_BATCH = 32
"""Answers stored with one statement."""
SPACING_SECONDS = 0.01
"""Statements follow one another no faster: under load, the answers that come meanwhile share the next."""


class Storing:
    """Stores answers, fenced by the claims on their tasks, and has each delivered to the host in time.

    While PostgreSQL does not answer they wait in the book and on disk, and are tried again for ever;
    ``delivering`` hands each to the host whatever becomes of it here. An answer that was reached without a
    claim, because PostgreSQL was away then, is claimed before it is stored.

    ``end`` has ``run`` return once nothing is left for it; ``close`` is the last word, after which an answer
    that still comes goes to host and outbox at once.
    """

    def __init__(self, shared: Shared, delivering: Delivering) -> None:
        self._shared, self._book, self._answers = shared, shared.book, shared.book.answers
        self._delivering = delivering
        self._batch_size = min(shared.config.write_batch_size, LARGEST_BATCH)
        self._one_by_one = 0
        self._news = asyncio.Event()
        self._moved = asyncio.Event()
        self._ending = asyncio.Event()
        self._late = False
        self._closed = False
        self._next_at = 0.0
        self.lost = 0

    def put(self, task: Task, analysis: LLMAnalysis) -> bool:
        """Take the analysis of a task; O(1). False if it had one before."""
        away = self._away
        answer = self._book.answered(task, analysis, self._shared.clock(), hurry=away)
        if answer is None:
            return False
        if away or self._late or self._closed:
            self._keep(answer)
        self._news.set()
        self._delivering.look()
        if self._book.idle:
            self._shared.idle.set()
        if self._closed:
            self._settle_nowhere()
        return True

    async def wait_until_empty(self) -> None:
        """Return once every answer is stored."""
        while self._answers.unstored:
            self._moved.clear()
            await self._moved.wait()

    async def wait_until_stored(self) -> None:
        """Return once every answer that was taken up to now is stored, whatever comes after it."""
        goal = self._answers.taken
        while self._answers.settled < goal:
            self._moved.clear()
            await self._moved.wait()

    # The loop

    async def run(self) -> None:
        """Store what arrives, until ``end`` and for as long as there is hope of storing it."""
        while not (self._ending.is_set() and not self._answers.unstored):
            await self._wait_for_work()
            await self._gather()
            if await self.store_batch():
                if self._ending.is_set() and self._only_kept_are_left(contested=True):
                    return  # for the next run
                await asyncio.sleep(0)
            elif self._ending.is_set() and self._only_kept_are_left():
                return
            else:
                await self._rest()

    def _only_kept_are_left(self, *, contested: bool = False) -> bool:
        """Whether the outbox has what PostgreSQL has not; ``contested``: and nothing else can be tried."""
        if contested and self._answers.waits_to_be_stored(self._shared.clock()) == 0.0:
            return False
        return all(answer.kept for answer in self._answers.all_unstored())

    async def _wait_for_work(self) -> None:
        """Until an answer arrives, or a contested one is to be tried again."""
        seconds = self._answers.waits_to_be_stored(self._shared.clock())
        if self._ending.is_set():
            await asyncio.sleep(seconds or 0.0)
        elif seconds != 0.0:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()

    async def _gather(self) -> None:
        """Let a statement that follows close upon another bring more than one answer along."""
        loop = asyncio.get_running_loop()
        wait = self._next_at - loop.time()
        if 0 < wait <= SPACING_SECONDS and self._answers.unstored < self._batch_size:
            await asyncio.sleep(wait)
        self._next_at = loop.time() + SPACING_SECONDS

    async def _rest(self) -> None:
        """Between two tries; the end is in a hurry."""
        if self._ending.is_set():
            await asyncio.sleep(LAST_RETRY_SECONDS)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._shared.availability.retry_in("results")):
                await self._ending.wait()

    async def store_batch(self) -> bool:
        """Store the oldest answers; False when PostgreSQL did not take them and they wait."""
        alone = self._one_by_one
        batch = self._answers.next_batch(1 if alone else self._batch_size, self._shared.clock())
        accepted = await self._store(batch)
        if accepted is None:
            return self._one_by_one > alone  # refused together: tried one by one, without a pause
        self._one_by_one = max(0, alone - 1)
        self._settle(batch, accepted)
        self._delivering.look()
        self._shared.wake.set()
        return True

    def _settle(self, batch: list[Answer], accepted: set[str]) -> None:
        outbox = self._shared.outbox
        for answer in self._book.stored(batch, accepted, self._shared.clock()):
            signal = answer.task.signal
            if outbox is not None and answer.kept:
                outbox.forget_outcome(signal)
            if self._book.recorded(signal) and outbox is not None:
                outbox.forget_signal(signal)  # stored with its answer at the latest
            if answer.verdict is Acceptance.REFUSED:
                logger.warning(
                    "signal %s: another worker has finished or holds this task; this answer is not stored",
                    one_line(answer.task.signal_id),
                )
        for answer in batch:
            if answer.verdict is Acceptance.OPEN:
                self._keep(answer)  # contested: it may wait for longer than this process lives
        self._moved.set()

    # PostgreSQL

    async def _store(self, batch: list[Answer]) -> set[str] | None:
        """The ids that are ours. None: PostgreSQL did not take them, or not all of them together."""
        if self._shared.database is None or not batch:
            return {answer.task.signal_id for answer in batch}
        storing = asyncio.create_task(
            self._claim_and_save(self._shared.database, batch), name="storing results"
        )
        try:
            await asyncio.wait({storing}, timeout=PATIENCE_SECONDS)
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
            self._failed(error)
            await self._keep_all()
            return None
        finally:
            self._late = False
        self._shared.availability.over("results")
        return accepted

    async def _claim_and_save(self, database: Record, batch: list[Answer]) -> set[str]:
        unclaimed = [answer.task for answer in batch if answer.task.claim is None]
        if unclaimed:
            claims = await database.claim_signals(
                [task.signal for task in unclaimed],
                worker_id=self._shared.worker_id, lease_seconds=self._shared.config.lease_seconds,
            )  # fmt: skip
            for task in unclaimed:
                task.claim = claims.get(task.signal_id)
        await self._shared.turn()
        ready = [(answer.analysis, answer.task.claim) for answer in batch if answer.task.claim is not None]
        return await database.save_outcomes(ready) if ready else set()

    def _refused_together(self, batch: list[Answer], error: Exception) -> set[str] | None:
        """What is wrong with one of them must not cost the others their place: each is tried alone."""
        if len(batch) > 1:
            self._one_by_one = len(batch)
            return None
        self.lost += 1
        name = batch[0].task.signal_id
        logger.error("PostgreSQL refuses the result of signal %s: %s", one_line(name), error)
        return {name}

    @staticmethod
    async def _end(storing: asyncio.Task[set[str]]) -> None:
        storing.cancel()
        await asyncio.wait({storing}, timeout=CANCEL_SECONDS)
        if storing.done() and not storing.cancelled():
            storing.exception()  # seen: the answers are in the outbox, or repeated by the next run

    def _failed(self, error: Exception) -> None:
        first = not self._away
        self._shared.availability.failed(error, "results")
        if first:
            self._answers.hurry()
            self._delivering.look()

    @property
    def _away(self) -> bool:
        return self._shared.availability.error_of("results") is not None

    # The outbox

    def _keep(self, answer: Answer) -> None:
        if self._shared.outbox is not None and not answer.kept:
            answer.kept = True
            self._shared.outbox.keep_outcome(answer.task.signal, answer.analysis, answer.task.claim)

    async def _keep_all(self) -> None:
        """Everything that waits goes to the outbox too, in slices that the host's loop does not feel."""
        waiting = list(self._answers.all_unstored())
        for start in range(0, len(waiting), KEPT_AT_ONCE):
            for answer in waiting[start : start + KEPT_AT_ONCE]:
                self._keep(answer)
            await asyncio.sleep(0)

    def _keep_the_rest(self) -> None:
        for answer in self._answers.all_unstored():
            self._keep(answer)

    # The end

    def end(self) -> None:
        """No more answers are to be expected: ``run`` returns once it has done what can be done."""
        self._ending.set()
        self._news.set()

    def close(self) -> None:
        """Nobody stores any more: whatever is left is the outbox's, and the host's at once."""
        if not self._closed:
            self._closed = True
            self._keep_the_rest()
            self._delivering.close()
            self._settle_nowhere()

    def _settle_nowhere(self) -> None:
        """Without a database an answer that the host has is done."""
        if self._shared.database is None:
            batch = self._answers.next_batch(self._answers.unstored, self._shared.clock())
            self._settle(batch, {answer.task.signal_id for answer in batch})
