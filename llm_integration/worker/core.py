"""LLMWorker: the asyncio shell that connects store, formatter, processor, parser and writers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from llm_integration.config import DEFAULT_BASE_URL, KEY_VARIABLE, LLMConfig
from llm_integration.domain import Claim, LLMAnalysis, Signal, TaskStatus
from llm_integration.errors import CallError, DeadlineError, LineStoppedError, OversizeRequestError
from llm_integration.llm_processor import LLMProcessor
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.response_parser import LLMResponseParser
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.worker.jobs import Job, Prompt, answered, expired, failed, one_line
from llm_integration.worker.ports import AnalysisSink, OutcomeOutbox, Processor, TaskDatabase
from llm_integration.worker.subscribers import Callback, Subscribers
from llm_integration.worker.supervision import Supervisor
from llm_integration.worker.writer import ResultWriter

__all__ = ["LLMWorker"]

logger = logging.getLogger(__name__)

MOST_CRASHES = 2
"""A signal on which the worker itself crashes this often ends as failed."""
CLEANED_AT_ONCE = 200
"""Finished signals removed from memory in one go: a fraction of a millisecond."""
DATABASE_PAUSE_SECONDS = 5.0
"""After PostgreSQL failed to answer, signals go on unclaimed for this long before it is asked again."""


class LLMWorker:
    """Rates signals in the background of the host's event loop.

    ``run()`` is started as a task by the host and ends after ``stop()``. With ``db_manager`` every task is
    claimed before it is asked and its result is fenced by that claim; without, results go to
    ``csv_exporter`` and the callbacks only. While the database is away, results are kept in ``outbox``, so
    that they outlive this process. Nothing in here raises into the host.
    """

    def __init__(
        self,
        config: LLMConfig | None = None,
        memory_store: SignalMemoryStore | None = None,
        db_manager: TaskDatabase | None = None,
        csv_exporter: AnalysisSink | None = None,
        *,
        outbox: OutcomeOutbox | None = None,
        processor: Processor | None = None,
        formatter: SignalFormatter | None = None,
        parser: LLMResponseParser | None = None,
        worker_id: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.config = config or LLMConfig()
        self.memory_store = memory_store or SignalMemoryStore(
            self.config.max_memory_signals, self.config.memory_retention_minutes
        )
        self.worker_id = worker_id or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._database = db_manager
        self._sink = csv_exporter
        self._processor: Processor = processor or LLMProcessor(self.config)
        self._formatter = formatter or SignalFormatter(self.config)
        self._parser = parser or LLMResponseParser()
        self._clock = clock
        self._wall = wall_clock
        self._subscribers = Subscribers()
        self._wake = asyncio.Event()
        self._writer = ResultWriter(
            db_manager, csv_exporter, self._subscribers.deliver, batch_size=self.config.write_batch_size,
            worker_id=self.worker_id, lease_seconds=self.config.lease_seconds, outbox=outbox,
            on_written=self._wake.set,
        )  # fmt: skip
        self._supervisor = Supervisor(clock=clock)
        self._idle = asyncio.Event()
        self._stopped = asyncio.Event()
        self._ready: asyncio.Queue[Job] = asyncio.Queue(self.config.max_concurrency)
        self._recovered: deque[Job] = deque()
        self._unfinished: dict[str, Job] = {}
        self._abandoned: list[Job] = []
        self._asking = 0
        self._counts: Counter[str] = Counter()
        self._cost = Decimal(0)
        self._recent: deque[LLMAnalysis] = deque(maxlen=5)
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._accepting = True
        self._stopping = False
        self._database_back_at = 0.0
        self._database_error: str | None = None
        self._look_again = False

    # The host's side

    def off_reason(self) -> str | None:
        """Why this worker asks nothing at all, in one line; None when it is on."""
        if not self.config.enabled:
            return "the llm block says enabled: false"
        if self.config.api_key is None and self.config.base_url == DEFAULT_BASE_URL:
            return f"there is no API key; set {KEY_VARIABLE} or put it into .env"
        return None

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Have ``callback`` called with each finished LLMAnalysis, rated or not.

        A plain callable runs in a thread of its own, an async one in a task of its own; neither can slow
        down the worker or the host. Returns a function that ends the subscription.
        """
        return self._subscribers.add(callback)

    async def run(self) -> None:
        """Work until ``stop()``. A crash inside is logged and restarted; only cancellation ends it early."""
        if self._tasks or self._stopped.is_set():
            if self._stopping:
                return
            raise RuntimeError("this worker is running already")
        if reason := self.off_reason():
            logger.warning("LLM off: %s; trading goes on without ratings", reason)
            await self._stopped.wait()
            return
        if self._database is None:
            logger.warning("no database: ratings go to CSV and callbacks only")
        if self._sink is not None:
            self._sink.start()
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self.memory_store.set_waker(self._wake_up)
        self._tasks = [self._spawn("intake", self._take_in), self._spawn("writer", self._writer.run)]
        self._tasks.append(self._spawn("housekeeping", self._keep_house))
        self._tasks += [
            self._spawn(f"lane {number}", self._work_lane) for number in range(self.config.max_concurrency)
        ]
        try:
            await self._stopped.wait()
        finally:
            await self._cancel(self._tasks)
            self.memory_store.set_waker(None)

    async def drain(self, timeout: float) -> bool:
        """Wait, at most ``timeout`` seconds, until every accepted signal has its end; True if it came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not self._is_idle():
                    self._idle.clear()
                    await self._idle.wait()
                await self._writer.wait_until_empty()
        return self._is_idle() and self._writer.unwritten == 0

    async def stop(self, timeout: float = 10.0) -> None:
        """End the worker within ``timeout`` plus one second.

        Calls in flight may finish within the timeout; what is unanswered then is ``pending`` again, for the
        next run.
        """
        if self._stopping:
            await self._stopped.wait()
            return
        self._stopping, self._accepting = True, False
        started = self._clock()
        reserve = min(1.0, timeout / 4)
        if self._tasks:
            intake, _writer, *others = self._tasks
            await self._cancel([intake])
            await self._let_finish(timeout - reserve)
            await self._cancel(others)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.1, timeout - (self._clock() - started))):
                await self._writer.wait_until_empty()
        await self._cancel(self._tasks)  # the writer too, now
        await self._give_back(0.4)
        await self._subscribers.drain(0.2)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await self._processor.close()
        self._stopped.set()

    def get_statistics(self) -> dict[str, Any]:
        """Counters and states: plain numbers and text, cheap enough to ask several times a second."""
        line = self._processor.stopped_reason()
        off = self.off_reason()
        return {
            "state": "off" if off else "stopped" if self._stopping else "waiting" if line else "running",
            "reason": off or line,
            "model": self.config.model,
            "queued": self.memory_store.get_statistics()["pending"]
            + len(self._recovered)
            + self._ready.qsize(),
            "in_flight": self._asking,
            "completed": self._counts["completed"],
            "rated": self._counts["rated"],
            "unrated": self._counts["unrated"],
            "failed": self._counts["failed"],
            "expired": self._counts["expired"],
            "taken_elsewhere": self._counts["elsewhere"],
            "refused_by_fence": self._writer.refused,
            "unwritten": self._writer.unwritten,
            "cost_usd": self._cost,
            "cost_unknown": self._counts["cost_unknown"],
            "database_error": self._writer.database_error or self._database_error,
            "crashes": dict(self._supervisor.crashes),
            "recent": tuple(self._recent),
            "memory": self.memory_store.get_statistics(),
            "processor": self._processor.statistics(),
            **self._subscribers.statistics(),
        }

    @property
    def unwritten(self) -> int:
        """Results that the database does not have yet."""
        return self._writer.unwritten

    # Intake: from memory and PostgreSQL to the lanes

    async def _take_in(self) -> None:
        while True:
            self._wake.clear()
            jobs = await self._next_jobs()
            for job in jobs:
                await self._ready.put(job)
            if not jobs:
                await self._wait(self._wake, self._pause())

    def _pause(self) -> float:
        stopped_for = self._processor.ready_in()
        return min(self.config.poll_interval, stopped_for) if stopped_for > 0 else self.config.poll_interval

    async def _next_jobs(self) -> list[Job]:
        room = self.config.max_concurrency - self._ready.qsize()
        if not self._accepting or self._writer.unwritten >= self.config.max_unwritten_results:
            return []
        if self._processor.ready_in() > 0:
            self._expire_waiting()
            return []
        jobs = [self._recovered.popleft() for _ in range(min(room, len(self._recovered)))]
        if not self._recovered and self._look_again:
            self._look_again = False
            jobs += await self._claim_waiting(room - len(jobs))
        jobs += await self._from_memory(room - len(jobs))
        return jobs

    async def _from_memory(self, room: int) -> list[Job]:
        if room <= 0:
            return []
        jobs = []
        for entry in self.memory_store.take_pending(room):
            job = Job(
                signal=Signal.from_mapping(entry.signal_id, entry.signal_data),
                accepted_at=entry.added_at,
                deadline=entry.added_at + self.config.signal_max_age_seconds,
            )
            self._unfinished[job.signal_id] = job
            jobs.append(job)
        return await self._claimed(jobs) if jobs else []

    async def _claimed(self, jobs: list[Job]) -> list[Job]:
        if self._database is None or self._clock() < self._database_back_at:
            return jobs
        try:
            claims = await self._database.claim_signals(
                [job.signal for job in jobs],
                worker_id=self.worker_id, lease_seconds=self.config.lease_seconds,
            )  # fmt: skip
        except Exception as error:
            self._database_failed(error)
            return jobs
        self._database_works()
        granted = []
        for job in jobs:
            job.claim = claims.get(job.signal_id)
            if job.claim is None:
                self._taken_elsewhere(job)
            else:
                granted.append(job)
        return granted

    def _taken_elsewhere(self, job: Job) -> None:
        """The task is finished, or a live worker holds it: not ours to ask."""
        self._counts["elsewhere"] += 1
        self._forget(job, TaskStatus.COMPLETED)

    def _expire_waiting(self) -> None:
        """While no request may be sent, end the signals that have grown too old."""
        limit = self._clock() - self.config.signal_max_age_seconds
        while self.memory_store.get_pending_signals(1):
            entries = self.memory_store.take_pending(1)
            if not entries:
                return
            if entries[0].added_at > limit:
                self.memory_store.requeue([entries[0].signal_id])
                return
            entry = entries[0]
            job = Job(
                Signal.from_mapping(entry.signal_id, entry.signal_data), entry.added_at,
                entry.added_at + self.config.signal_max_age_seconds,
            )  # fmt: skip
            self._finish_expired(job, self._processor.stopped_reason() or "no request could be sent")

    # Lanes: one signal at a time each

    async def _work_lane(self) -> None:
        while True:
            job = await self._ready.get()
            try:
                await self._answer(job)
            except LineStoppedError as stop:
                self._put_back(job, stop)
            except Exception:
                self._crashed_on(job)
                raise

    async def _answer(self, job: Job) -> None:
        started = self._clock()
        if started >= job.deadline:
            self._finish_expired(job, "it waited too long")
            return
        text = self._formatter.format_signal_data(job.signal)
        prompt = Prompt(text, self._formatter.prompt_version)
        self._asking += 1
        try:
            completion = await self._processor.complete(
                text, system=self._formatter.system_prompt, deadline=job.deadline
            )
        except DeadlineError as error:
            self._finish_expired(job, str(error), error)
            return
        except LineStoppedError:
            raise
        except (CallError, OversizeRequestError) as error:
            call_error = error if isinstance(error, CallError) else None
            self._finish(job, failed(
                job, str(error), now=self._clock(), processed_at=self._wall(), prompt=prompt,
                error=call_error, model=self.config.model,
            ))  # fmt: skip
            return
        finally:
            self._asking -= 1
        reading = self._parser.parse(completion.text)
        self._finish(job, answered(
            job, prompt, completion, reading, started=started, now=self._clock(), processed_at=self._wall(),
        ))  # fmt: skip

    def _finish_expired(self, job: Job, reason: str, error: CallError | None = None) -> None:
        limit = self.config.signal_max_age_seconds
        text = f"older than signal_max_age_seconds={limit:g}: {reason}"
        self._finish(job, expired(job, text, now=self._clock(), processed_at=self._wall(), error=error))

    def _finish(self, job: Job, analysis: LLMAnalysis) -> None:
        self._counts[analysis.status.value] += 1
        if analysis.answered:
            self._counts["rated" if analysis.rated else "unrated"] += 1
            if analysis.cost_usd is None:
                self._counts["cost_unknown"] += 1
        self._cost += analysis.cost_usd or 0
        self._recent.append(analysis)
        self._writer.put(job, analysis)
        self._forget(job, analysis.status)

    def _forget(self, job: Job, status: TaskStatus) -> None:
        self._unfinished.pop(job.signal_id, None)
        if job.from_memory:
            self.memory_store.finish(job.signal_id, status)
        if self._is_idle():
            self._idle.set()
        self._wake.set()

    def _put_back(self, job: Job, stop: LineStoppedError) -> None:
        """Nothing can be sent for now: the signal waits in memory, or in PostgreSQL if it came from there."""
        self._cost += stop.cost_usd or 0
        self._unfinished.pop(job.signal_id, None)
        if job.from_memory:
            self.memory_store.requeue([job.signal_id])
        else:
            self._recovered.appendleft(job)
            self._unfinished[job.signal_id] = job
        self._wake.set()

    def _crashed_on(self, job: Job) -> None:
        job.crashes += 1
        if job.crashes < MOST_CRASHES:
            self._recovered.append(job)
            return
        self._finish(job, failed(
            job, "the sidecar itself failed on this signal; its log has the cause", now=self._clock(),
            processed_at=self._wall(), model=self.config.model,
        ))  # fmt: skip

    # Housekeeping: lease, abandoned tasks, memory

    async def _keep_house(self) -> None:
        next_cleanup = self._clock() + self.config.cleanup_interval_minutes * 60
        next_beat = next_look = self._clock()
        while True:
            now = self._clock()
            if now >= next_beat:
                next_beat = now + self.config.lease_seconds / 3
                await self._beat()
            if now >= next_look:
                next_look = now + self.config.poll_interval
                await self._look_for_waiting()
            if now >= next_cleanup:
                next_cleanup = now + self.config.cleanup_interval_minutes * 60
                while self.memory_store.cleanup_old_signals(CLEANED_AT_ONCE):  # noqa: ASYNC110  gives way, waits for nothing
                    await asyncio.sleep(0)
            await asyncio.sleep(max(0.01, min(next_beat, next_look, next_cleanup) - self._clock()))

    async def _beat(self) -> None:
        if self._database is None:
            return
        try:
            await self._database.heartbeat(self.worker_id, lease_seconds=self.config.lease_seconds)
        except Exception as error:
            self._database_failed(error)
        else:
            self._database_works()

    async def _look_for_waiting(self) -> None:
        room = self.config.max_concurrency - len(self._recovered)
        if not self._accepting or self._processor.ready_in() > 0:
            return
        self._recovered.extend(await self._claim_waiting(room))
        self._wake.set()

    async def _claim_waiting(self, room: int) -> list[Job]:
        if self._database is None or room <= 0 or self._clock() < self._database_back_at:
            return []
        known = [*self.memory_store.ids(), *self._unfinished, *self._writer.holds()]
        try:
            found = await self._database.claim_waiting(
                worker_id=self.worker_id, limit=room,
                lease_seconds=self.config.lease_seconds, exclude=known,
            )  # fmt: skip
        except Exception as error:
            self._database_failed(error)
            return []
        self._look_again = len(found) >= room
        return [self._recover(claim, signal) for claim, signal in found]

    def _recover(self, claim: Claim, signal: Signal) -> Job:
        accepted = self._clock() - claim.age_seconds
        job = Job(signal, accepted, accepted + self.config.signal_max_age_seconds, claim, from_memory=False)
        self._unfinished[job.signal_id] = job
        return job

    def _database_failed(self, error: Exception) -> None:
        self._database_back_at = self._clock() + DATABASE_PAUSE_SECONDS
        message = one_line(str(error) or type(error).__name__, 300)
        if self._database_error is None:
            logger.warning(
                "PostgreSQL does not answer (%s); signals are rated from memory meanwhile", message
            )
        self._database_error = message

    def _database_works(self) -> None:
        if self._database_error is not None:
            logger.warning("PostgreSQL answers again")
        self._database_error = None
        self._database_back_at = 0.0

    # Starting, waking, ending

    def _spawn(self, name: str, loop: Callable[[], Any]) -> asyncio.Task[None]:
        return asyncio.create_task(self._supervisor.keep(name, loop), name=f"sidecar {name}")

    def _wake_up(self) -> None:
        """Called by the store after an addition, from any thread."""
        if threading.get_ident() == self._loop_thread:
            self._wake.set()
        elif self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the host's loop is closed already
                self._loop.call_soon_threadsafe(self._wake.set)

    @staticmethod
    async def _wait(event: asyncio.Event, timeout: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await event.wait()

    def _is_idle(self) -> bool:
        return not self._unfinished and self.memory_store.get_statistics()["pending"] == 0

    async def _let_finish(self, timeout: float) -> None:
        """Wait for the calls in flight, not for those that have not started."""
        for job in self._waiting_jobs():
            self._unfinished.pop(job.signal_id, None)
            self._abandoned.append(job)
        deadline = self._clock() + timeout
        while self._asking and self._clock() < deadline and self._processor.ready_in() <= 0:
            self._idle.clear()
            await self._wait(self._idle, min(0.05, max(0.001, deadline - self._clock())))

    def _waiting_jobs(self) -> list[Job]:
        waiting = list(self._recovered)
        self._recovered.clear()
        while not self._ready.empty():
            waiting.append(self._ready.get_nowait())
        return waiting

    async def _give_back(self, timeout: float) -> None:
        """What was claimed and not answered is pending again, here and in PostgreSQL."""
        jobs = [*self._abandoned, *self._unfinished.values()]
        self._unfinished.clear()
        self.memory_store.requeue([job.signal_id for job in jobs if job.from_memory])
        claims: Sequence[Claim] = [job.claim for job in jobs if job.claim is not None]
        if self._database is None or not self._tasks:
            return
        try:
            async with asyncio.timeout(timeout):
                if claims:
                    await self._database.release(claims)
                await self._database.retire_worker(self.worker_id)
        except Exception as error:  # its lease runs out by itself
            reason = one_line(str(error) or type(error).__name__)
            logger.warning("tasks not handed back (%s); free in %g s", reason, self.config.lease_seconds)

    @staticmethod
    async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=0.5)
