"""LLMWorker: the asyncio shell that connects store, formatter, processor, parser and writers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from llm_integration.budget import MemoryLedger
from llm_integration.config import DEFAULT_BASE_URL, KEY_VARIABLE, LLMConfig
from llm_integration.domain import LLMAnalysis, Signal, TaskStatus
from llm_integration.errors import BudgetExceededError, CallError, LineStoppedError
from llm_integration.llm_processor import LLMProcessor
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.model_catalogue import ModelCatalogue
from llm_integration.pieces import REPLIES_ARE_KEPT
from llm_integration.prompts import PromptLibrary
from llm_integration.rating_health import RatingHealth, version_names
from llm_integration.response_parser import LLMResponseParser
from llm_integration.routing import CallPlan, Router, router_for
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.worker.asking import Asker
from llm_integration.worker.intake import Intake
from llm_integration.worker.jobs import Job, failed
from llm_integration.worker.loads import Load
from llm_integration.worker.others import Others
from llm_integration.worker.outage import Outage
from llm_integration.worker.ownership import Ownership, endpoint_of
from llm_integration.worker.patience import pause_after_stop
from llm_integration.worker.ports import AnalysisSink, Processor, TaskDatabase, WorkerOutbox
from llm_integration.worker.reading import SignalReader
from llm_integration.worker.registry import Registry
from llm_integration.worker.shadows import Shadows
from llm_integration.worker.subscribers import Callback, Subscribers
from llm_integration.worker.supervision import Supervisor
from llm_integration.worker.turnstile import Turnstile
from llm_integration.worker.writer import ResultWriter

__all__ = ["LLMWorker"]

logger = logging.getLogger(__name__)

MOST_CRASHES = 2
"""A signal on which the worker itself crashes this often ends as failed."""
CLEANED_AT_ONCE = 200
"""Finished signals removed from memory in one go: a fraction of a millisecond."""
MODELS_FOLDER = Path(".tradent/models")
"""Where a worker that makes its own client keeps the list of models, in the folder of its settings."""
MODEL_DOWN_SECONDS = 1.0
NO_ROOM_SECONDS = 60.0
"""How long a signal waits for a budget that does not know when it has room again."""
CANCELLED_SECONDS = 1.0
"""How long a cancelled ``run()`` goes on storing what was read."""


class LLMWorker:
    """Rates signals in the background of the host's event loop.

    ``run()`` is started as a task by the host and ends after ``stop()``, or when it is cancelled: in whatever
    order the host ends its parts, an answer that was read reaches them. With ``db_manager`` every task is
    claimed before it is asked and its result is fenced by that claim; without, results go to
    ``csv_exporter`` and the callbacks only. While the database is away, results are kept in ``outbox``, so
    that they outlive this process, and so are signals that wait in memory. With ``stores_signals=False`` the
    host stores its signals itself, before it hands them over. ``catalogue`` knows how much a model can read;
    the host that brings it keeps it fresh.

    At the start, and when a worker has died, the waiting tasks of ``session`` (None: of signals without one)
    are taken back, and those of the sessions that the host's signals name. With ``adopt`` the tasks of all
    sessions are worked off; the results of others are stored and not delivered here. Tasks meant for another
    ``base_url`` wait, unless ``any_endpoint``. Nothing in here raises into the host.
    """

    def __init__(
        self,
        config: LLMConfig | None = None,
        memory_store: SignalMemoryStore | None = None,
        db_manager: TaskDatabase | None = None,
        csv_exporter: AnalysisSink | None = None,
        *,
        outbox: WorkerOutbox | None = None,
        processor: Processor | None = None,
        formatter: SignalFormatter | None = None,
        parser: LLMResponseParser | None = None,
        worker_id: str | None = None,
        stores_signals: bool = True,
        session: str | None = None,
        adopt: bool = False,
        any_endpoint: bool = False,
        catalogue: ModelCatalogue | None = None,
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
        self._outbox = outbox
        models = self.config.folder / MODELS_FOLDER
        self._catalogue = catalogue or ModelCatalogue(self.config.base_url, cache_folder=models)
        self._own_processor = processor is None
        self._processor: Processor = processor or self._new_processor()
        self._clock = clock
        self._wall = wall_clock
        self._subscribers = Subscribers()
        self._supervisor = Supervisor(clock=clock)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._stopped = asyncio.Event()
        self._ended = asyncio.Event()
        self._ending = asyncio.Lock()
        self._nothing_left = False
        self._ready: asyncio.Queue[Load] = asyncio.Queue(self.config.max_concurrency)
        turnstile = Turnstile()
        reader = SignalReader(turnstile.turn, self.config.bars_timezone)
        self._writer = ResultWriter(
            db_manager, csv_exporter, self._subscribers.deliver, batch_size=self.config.write_batch_size,
            worker_id=self.worker_id, lease_seconds=self.config.lease_seconds, outbox=outbox,
            on_written=self._wake.set, settled=self._settled, refused=self._answered_elsewhere,
            turn=turnstile.turn, clock=clock,
        )  # fmt: skip
        router = router_for(self.config)
        formatters = _formatters(self.config, router, formatter)
        self._outage = Outage(clock)
        self._asker = Asker(
            self.config, self._processor, parser or LLMResponseParser(),
            clock=clock, wall_clock=wall_clock, finish=self._finish, again=self._again,
            later=self._later, most_tokens=self._most_tokens, turnstile=turnstile,
        )  # fmt: skip
        self._registry = Registry(
            self.memory_store, db_manager if stores_signals else None, outbox, self._outage, self.worker_id,
            turn=turnstile.turn, reader=reader,
        )  # fmt: skip
        self._ownership = Ownership(
            db_manager, worker_id=self.worker_id, endpoint=endpoint_of(self.config), session=session,
            adopt=adopt, any_endpoint=any_endpoint,
        )  # fmt: skip
        self._intake = Intake(
            self.config, self.memory_store, db_manager, self._processor, router=router,
            formatters=formatters, worker_id=self.worker_id, outage=self._outage, clock=clock,
            elsewhere=self._taken_elsewhere, expire=self._asker.expire, holds=self._writer.holds,
            unclaimed=self._registry.keep, turn=turnstile.turn, reader=reader, ownership=self._ownership,
        )  # fmt: skip
        self._others = Others(db_manager, self._outage, self._hand_on)
        self._shadows = Shadows(
            self.config.shadow, self._asker, db_manager, formatters, self._writer.wait_until_written
        )
        self._health = RatingHealth(window=self.config.rating_health_window)
        self._abandoned: list[Job] = []
        self._counts: Counter[str] = Counter()
        self._cost = Decimal(0)
        self._recent: deque[LLMAnalysis] = deque(maxlen=5)
        self._producers: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._accepting = True
        self._stopping = False
        self._told_full = False

    def _new_processor(self) -> LLMProcessor:
        """A client for a host that brings none, with the budgets of the settings kept in memory."""
        guard = MemoryLedger(self.config.budgets, self._catalogue) if self.config.budgets else None
        return LLMProcessor(self.config, guard=guard, catalogue=self._catalogue, dialect_folder=MODELS_FOLDER)

    def _most_tokens(self, plan: CallPlan) -> int:
        """How long a prompt may be: by the settings, and by what the model can read beside its reply."""
        known = self._catalogue.find(plan.model)
        if known is None or known.context_length is None:
            return self.config.batch_max_tokens
        room = known.context_length - (plan.max_tokens or self.config.max_tokens)
        return max(1, min(self.config.batch_max_tokens, room))

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
        """Work until ``stop()``. A crash inside is logged and restarted; only cancellation ends it early.

        A cancelled run ends calls in flight at once and takes up to three seconds to store and hand on what
        was read; it cannot be run again.
        """
        if self._writers or self._stopped.is_set():
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
        if self._outbox is not None:
            self._outbox.start()
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self.memory_store.set_waker(self._wake_up)
        self._writers = [
            self._spawn("writer", self._writer.run), self._spawn("delivery", self._writer.delivery.run)
        ]  # fmt: skip
        self._producers = [
            self._spawn("intake", self._take_in), self._spawn("housekeeping", self._keep_house)
        ]  # fmt: skip
        if self._own_processor:
            self._producers.append(self._spawn("list of models", self._catalogue.run))
        self._producers += [
            self._spawn(f"lane {number}", self._work_lane) for number in range(self.config.max_concurrency)
        ]
        try:
            await self._stopped.wait()
        finally:
            try:
                await self._end(CANCELLED_SECONDS, finish_calls=False)
            finally:
                self._let_go()

    async def drain(self, timeout: float) -> bool:
        """Wait until every accepted signal has its end, stored and heard by every callback.

        True if that came within ``timeout`` seconds. Not for a callback to await: it would wait for itself.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not self._is_idle():
                    self._idle.clear()
                    await self._idle.wait()
                await self._writer.wait_until_empty()
                await self._writer.delivery.wait_until_empty()
                await self._subscribers.wait_until_heard()
        return self._is_idle() and not (
            self._writer.unwritten or self._writer.delivery.waiting or self._subscribers.waiting
        )

    async def stop(self, timeout: float = 10.0) -> None:
        """End the worker within ``timeout`` plus one second; at once when nothing is left to do.

        Calls in flight may finish within the timeout; what is unanswered then is ``pending`` again, for the
        next run.
        """
        if self._stopping:
            await self._wait(self._ended, timeout + 1.0)
            return
        try:
            await self._end(timeout, finish_calls=True)
        finally:
            self._stopped.set()
            if not self._writers:
                self._ended.set()  # else ``run`` has the last word

    async def _end(self, timeout: float, *, finish_calls: bool) -> None:
        """Who reads answers ends before who stores them, and that before who hears of them.

        Whoever comes here second, a cancelled ``run`` during ``stop`` or the other way round, does what the
        first has left over.
        """
        self._stopping, self._accepting = True, False
        async with self._ending:
            if self._nothing_left:
                return
            started = self._clock()
            if finish_calls and self._producers:
                await self._cancel(self._producers[:1])  # the intake: nothing new is begun
                await self._let_finish(timeout - min(1.0, timeout / 4))
            await self._cancel(self._producers)
            await self._shadows.stop(0.1)
            await self._write_the_rest(max(0.1, timeout - (self._clock() - started)))
            if self._producers:
                await self._intake.give_back(self._abandoned, 0.4)
            await self._subscribers.drain(0.2)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await self._processor.close()
            self._nothing_left = True

    async def _write_the_rest(self, timeout: float) -> None:
        """Store and hand on everything that was read; what PostgreSQL does not take is the outbox's."""
        if not self._writers:
            return
        self._writer.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await asyncio.wait(self._writers[:1])
                await self._supervisor.keep("writer", self._writer.run)  # if that one was cancelled before
                await self._others.look()
        self._writer.close()
        await self._cancel(self._writers)

    def _let_go(self) -> None:
        """The last word of ``run``, which waits for nothing."""
        self._writer.close()
        self.memory_store.set_waker(None)
        self._stopped.set()
        self._ended.set()

    def get_statistics(self) -> dict[str, Any]:
        """Counters and states: plain numbers and text, cheap enough to ask several times a second."""
        line = self._processor.stopped_reason() or self._full_reason()
        off = self.off_reason()
        return {
            "state": "off" if off else "stopped" if self._stopping else "waiting" if line else "running",
            "reason": off or line,
            "note": off or self._note(line),
            "model": self.config.model,
            "queued": self._intake.waiting + self._ready.qsize(),
            "waiting_for_budget": self._intake.parked,
            "in_flight": self._asker.in_flight,
            "completed": self._counts["completed"],
            "rated": self._counts["rated"],
            "unrated": self._counts["unrated"],
            "failed": self._counts["failed"],
            "expired": self._counts["expired"],
            "taken_elsewhere": self._counts["elsewhere"],
            "adopted": self._ownership.statistics(),
            "refused_by_fence": self._writer.refused,
            "unwritten": self._writer.unwritten,
            "undelivered": self._writer.delivery.waiting,
            "sink_errors": self._writer.sink_errors,
            "cost_usd": self._cost,
            "cost_unknown": self._counts["cost_unknown"],
            "database_error": self._writer.database_error or self._outage.error,
            "crashes": dict(self._supervisor.crashes),
            "recent": tuple(self._recent),
            "shadows": {"asked": self._shadows.asked, "left_out": self._shadows.left_out},
            "rating_health": self._health.report(),
            "memory": self.memory_store.get_statistics(),
            "processor": self._processor.statistics(),
            **self._subscribers.statistics(),
        }

    def _full_reason(self) -> str | None:
        if self._writer.unwritten < self.config.max_unwritten_results:
            return None
        return f"{self._writer.unwritten} results wait for PostgreSQL (max_unwritten_results)"

    def _note(self, line: str | None) -> str | None:
        """What it waits for and until when, as it is shown to people."""
        ready_in = self._processor.ready_in()
        if line is None or ready_in <= 0:
            return line if line is None else f"waiting: {line}"
        until = (self._wall() + timedelta(seconds=ready_in)).astimezone()
        return f"waiting until {until:%H:%M:%S}: {line}"

    @property
    def unwritten(self) -> int:
        """Results that the database does not have yet."""
        return self._writer.unwritten

    # Intake and lanes

    async def _take_in(self) -> None:
        while True:
            self._wake.clear()
            loads = await self._next_loads()
            for load in loads:
                await self._ready.put(load)
            more = await self._registry.store_waiting()
            if not loads and not more:
                await self._wait(self._wake, min(self._intake.pause(), self._registry.pause() or math.inf))

    async def _next_loads(self) -> list[Load]:
        lanes = self.config.max_concurrency - self._ready.qsize()
        if not self._accepting or self._is_full():
            return []
        return await self._intake.next_loads(lanes)

    def _is_full(self) -> bool:
        """No answer is bought that would only pile up; one message per change."""
        reason = self._full_reason()
        if reason is not None and not self._told_full:
            self._told_full = True
            logger.warning("%s; no further call is made until it takes them", reason)
        elif self._told_full and self._writer.unwritten <= self.config.max_unwritten_results // 2:
            self._told_full = False
            logger.warning("there is room for results again, calls go on")
        return reason is not None

    async def _work_lane(self) -> None:
        REPLIES_ARE_KEPT.set(True)
        while True:
            load = await self._ready.get()
            try:
                await self._asker.ask(load)
            except LineStoppedError as stop:
                self._stopped_line(load, stop)
            except BudgetExceededError as refusal:
                self._park(load, refusal)
            except Exception:
                self._crashed_on(load)
                raise
            else:
                self._shadow(load)

    def _shadow(self, load: Load) -> None:
        for job in load.jobs:
            if job.signal_id not in self._intake.unfinished:
                self._shadows.consider(job, load.choice)

    def _finish(self, job: Job, analysis: LLMAnalysis) -> None:
        if analysis.answered:
            self._watch_health(analysis)
        if job.adopted:
            self._ownership.count(analysis)
        else:
            self._count(analysis)
        self._writer.put(job, analysis)
        self._forget(job, analysis.status)

    def _count(self, analysis: LLMAnalysis) -> None:
        self._counts[analysis.status.value] += 1
        if analysis.answered:
            self._counts["rated" if analysis.rated else "unrated"] += 1
            if analysis.cost_usd is None:
                self._counts["cost_unknown"] += 1
        self._cost += analysis.cost_usd or 0
        self._recent.append(analysis)

    def _watch_health(self, analysis: LLMAnalysis) -> None:
        model, prompt = version_names(
            analysis.model_served, analysis.model_requested, analysis.prompt_name, analysis.prompt_version
        )
        alarm = self._health.add(analysis.rating, model=model, prompt=prompt)
        if alarm is not None:
            logger.warning("rating health: %s", alarm.message)

    def _settled(self, job: Job) -> None:
        self._intake.remember(job)
        if self._database is not None:
            self._registry.settled(job.signal)  # stored with its result at the latest

    def _taken_elsewhere(self, job: Job) -> None:
        """The task is finished, or a live worker holds it: not ours to ask."""
        self._counts["elsewhere"] += 1
        self._answered_elsewhere(job)
        self._forget(job, TaskStatus.COMPLETED)

    def _answered_elsewhere(self, job: Job) -> None:
        if job.from_memory:  # else the host never asked for it
            self._others.wait_for(job.signal)

    def _hand_on(self, signal: Signal, analysis: LLMAnalysis) -> None:
        """Another worker's answer to a signal of this host."""
        self._recent.append(analysis)
        self._writer.hand_to_host(signal, analysis)

    def _forget(self, job: Job, status: TaskStatus) -> None:
        self._intake.unfinished.pop(job.signal_id, None)
        self.memory_store.finish(job.signal_id, status)  # a host may have found it once more meanwhile
        if self._is_idle():
            self._idle.set()
        if self._ready.qsize() <= self.config.max_concurrency // 2:  # else the lanes have their next ones
            self._wake.set()

    def _again(self, job: Job) -> None:
        self._intake.again(job)
        self._wake.set()

    def _later(self, job: Job, seconds: float, reason: str) -> None:
        """The model or the line failed this signal: it waits and is asked about again, others may pass."""
        self._intake.park(job, seconds, reason)
        self._wake.set()

    def _put_back(self, load: Load, stop: LineStoppedError) -> None:
        """Nothing can be sent for now: the signals wait in memory, or in PostgreSQL."""
        self._cost += stop.cost_usd or 0
        for job in load.jobs:
            if job.signal_id not in self._intake.unfinished:
                continue
            pause = pause_after_stop(job, stop, self._processor.ready_in())
            if pause is None:
                self._intake.put_back(job)
            else:
                self._intake.park(job, pause, str(stop))
        self._wake.set()

    def _stopped_line(self, load: Load, stop: LineStoppedError) -> None:
        """Nothing can be sent: by anybody, or only to the models of this load's route."""
        if self._processor.ready_in() > 0:
            self._put_back(load, stop)
        else:
            self._park(load, stop)

    def _park(self, load: Load, refusal: CallError) -> None:
        """These signals wait, for room in a budget or for a model; others may pass."""
        self._cost += refusal.cost_usd or 0
        for job in load.jobs:
            if job.signal_id in self._intake.unfinished:
                self._intake.park(job, refusal.retry_after or _usual_wait(refusal), str(refusal))
        self._wake.set()

    def _crashed_on(self, load: Load) -> None:
        self._wake.set()
        for job in load.jobs:
            if job.signal_id not in self._intake.unfinished:
                continue
            job.crashes += 1
            job.alone = True
            if job.crashes < MOST_CRASHES:
                self._intake.again(job)
                continue
            self._finish(job, failed(
                job, "the sidecar itself failed on this signal; its log has the cause", now=self._clock(),
                processed_at=self._wall(), model=load.choice.plan.model,
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
                if self._accepting:
                    await self._tell_whose_tasks()
                    await self._intake.look_for_waiting()
                    await self._others.look()
                self._wake.set()
            if now >= next_cleanup:
                next_cleanup = now + self.config.cleanup_interval_minutes * 60
                while self.memory_store.cleanup_old_signals(CLEANED_AT_ONCE):  # noqa: ASYNC110  gives way, waits for nothing
                    await asyncio.sleep(0)
            await asyncio.sleep(max(0.01, min(next_beat, next_look, next_cleanup) - self._clock()))

    async def _tell_whose_tasks(self) -> None:
        if self._outage.worth_asking:
            try:
                await self._ownership.tell()
            except Exception as error:
                self._outage.failed(error)

    async def _beat(self) -> None:
        if self._database is None:
            return
        try:
            await self._database.heartbeat(self.worker_id, lease_seconds=self.config.lease_seconds)
        except Exception as error:
            self._outage.failed(error, "beat")
        else:
            self._outage.over("beat")

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
        return not self._intake.unfinished and self.memory_store.get_statistics()["pending"] == 0

    async def _let_finish(self, timeout: float) -> None:
        """Wait for the calls in flight, not for those that have not started."""
        waiting = self._intake.take_waiting()
        while not self._ready.empty():
            waiting += self._ready.get_nowait().jobs
        for job in waiting:
            self._intake.unfinished.pop(job.signal_id, None)
        self._abandoned += waiting
        deadline = self._clock() + timeout
        while self._asker.in_flight and self._clock() < deadline and self._processor.ready_in() <= 0:
            self._idle.clear()
            await self._wait(self._idle, min(0.05, max(0.001, deadline - self._clock())))

    @staticmethod
    async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=0.5)


def _usual_wait(refusal: CallError) -> float:
    return NO_ROOM_SECONDS if isinstance(refusal, BudgetExceededError) else MODEL_DOWN_SECONDS


def _formatters(
    config: LLMConfig, router: Router, given: SignalFormatter | None
) -> Mapping[str | None, SignalFormatter]:
    """A formatter for every prompt that settings, routes or shadows name; ``given`` is the usual one.

    Reads the prompts' files. Raises ConfigError for one that is missing or faulty.
    """
    library = PromptLibrary(config.prompt_folder, config.prompt_files)
    usual = given or SignalFormatter(config, library.get(config.prompt))
    names = {*router.prompts, *(shadow.prompt for shadow in config.shadow if shadow.prompt)}
    found: dict[str | None, SignalFormatter] = {None: usual, config.prompt: usual}
    found.update((name, usual.using(library.get(name))) for name in names - {config.prompt})
    return found
