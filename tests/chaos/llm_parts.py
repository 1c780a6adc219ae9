"""A worker with everything real around it (simulator, fault proxy, CSV files) on a clock that tests move."""

from __future__ import annotations

import asyncio
import csv
import heapq
import itertools
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from llm_integration import LLMConfig, LLMCSVExporter, LLMProcessor, LLMWorker, SignalMemoryStore
from llm_integration.circuit_breaker import CircuitBreaker
from llm_integration.domain import LLMAnalysis, TaskStatus
from llm_integration.ports import Record
from llm_integration.rate_limiter import AsyncRateLimiter, RateLimiter
from llm_integration.response_parser import LLMResponseParser
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.chaos.proxy import FaultProxy
from tests.unit.worker_parts import signal_mapping

__all__ = ["Rig", "Time", "completion_body", "names", "rig", "rows", "serving", "summary", "wait_until"]

PACE_SECONDS = 0.003
"""What each step of a test's clock gives to sockets and threads, whose time cannot be moved."""


class Alarm:
    """Something to do when the clock gets there."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.action = action
        self.cancelled = False

    def cancel(self) -> None:
        """Forget it."""
        self.cancelled = True


class Time:
    """Monotonic seconds that pass only when a test says so; ``sleep`` and ``call_later`` go by them."""

    def __init__(self) -> None:
        self.now = 10_000.0
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._numbers = itertools.count()

    def __call__(self) -> float:
        return self.now

    def call_later(self, delay: float, action: Callable[[], object]) -> Alarm:
        """Do ``action`` in so many seconds."""
        alarm = Alarm(action)
        heapq.heappush(self._alarms, (self.now + delay, next(self._numbers), alarm))
        return alarm

    async def sleep(self, seconds: float) -> None:
        """Return when so many seconds have passed."""
        woken = asyncio.Event()
        alarm = self.call_later(seconds, woken.set)
        try:
            await woken.wait()
        finally:
            alarm.cancel()

    async def step(self, seconds: float) -> None:
        """Move on, do what is due, and let sockets and threads work for a moment."""
        self.now += seconds
        while self._alarms and self._alarms[0][0] <= self.now:
            _, _, alarm = heapq.heappop(self._alarms)
            if not alarm.cancelled:
                alarm.action()
        await asyncio.sleep(PACE_SECONDS)

    async def go_on(self, seconds: float, step: float = 60.0) -> None:
        """Let so many seconds pass."""
        end = self.now + seconds
        while self.now < end:
            await self.step(min(step, end - self.now))

    async def until(self, condition: Callable[[], object], *, step: float = 0.5, real: float = 30.0) -> None:
        """Let time pass until ``condition`` holds; TimeoutError after ``real`` seconds by the wall."""
        async with asyncio.timeout(real):
            while not condition():
                await self.step(step)


class Rig:
    """A running worker and its neighbours."""

    def __init__(
        self, simulator: OpenRouterSimulator, proxy: FaultProxy, time: Time, worker: LLMWorker, folder: Path
    ) -> None:
        self.simulator, self.proxy, self.time, self.worker, self.folder = (
            simulator, proxy, time, worker, folder
        )  # fmt: skip
        self.ended: dict[str, LLMAnalysis] = {}
        worker.subscribe(self._on_analysis)
        self._running: asyncio.Task[None] | None = None

    async def _on_analysis(self, analysis: LLMAnalysis) -> None:
        assert analysis.signal_id not in self.ended, "a signal ended twice"
        self.ended[analysis.signal_id] = analysis

    def start(self) -> None:
        """Run the worker."""
        self._running = asyncio.create_task(self.worker.run(), name="worker under test")

    async def stop(self, timeout: float = 1.0) -> None:
        """Stop the worker, with its clock running meanwhile."""
        stopping = asyncio.create_task(self.worker.stop(timeout))
        try:
            await self.time.until(stopping.done, step=PACE_SECONDS, real=timeout + 2)
            await stopping
        finally:
            stopping.cancel()
            if self._running is not None:
                self._running.cancel()
                await asyncio.wait({self._running})

    def add(self, *signal_ids: str, **data: Any) -> None:
        """Hand signals over."""
        for signal_id in signal_ids:
            assert self.worker.memory_store.add_signal(signal_mapping(signal_id, **data))

    @property
    def requests(self) -> int:
        """Chat requests that reached the simulator."""
        return self.simulator.counters["chat_requests"]

    async def until_stopped(self, *, step: float = 0.5) -> None:
        """Let time pass until the line is stopped and the calls that were under way then have ended."""
        await self.time.until(lambda: self.state == "waiting", step=step)
        await self.time.until(lambda: self.worker.get_statistics()["in_flight"] == 0, step=0.2)

    @property
    def state(self) -> str:
        """``running``, ``waiting`` while no request is sent, or ``stopped``."""
        return str(self.worker.get_statistics()["state"])

    def ids(self, status: TaskStatus, *, rated: bool | None = None) -> set[str]:
        """Signals that ended so."""
        return {
            signal_id
            for signal_id, analysis in self.ended.items()
            if analysis.status is status and rated in (None, analysis.rated)
        }


def names(count: int, prefix: str = "s") -> list[str]:
    """``count`` signal ids."""
    return [f"{prefix}{number}" for number in range(count)]


@asynccontextmanager
async def rig(
    folder: Path,
    *,
    key: str = SIMULATED_KEY,
    keys: Iterable[str] = (SIMULATED_KEY,),
    database: Record | None = None,
    breaker: Callable[[Time], CircuitBreaker] = lambda time: CircuitBreaker(clock=time),
    target: tuple[str, int] | None = None,
    parser: LLMResponseParser | None = None,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """A worker that asks the simulator, or ``target``, through the proxy, and writes CSVs to ``folder``."""
    time = Time()
    async with OpenRouterSimulator(keys=list(keys), seed=7, pad_interval_seconds=0.01) as simulator:
        port = int(simulator.base_url.rpartition(":")[2].partition("/")[0])
        async with FaultProxy(target or ("127.0.0.1", port), seed=7) as proxy:
            config = LLMConfig(**{
                "base_url": proxy.http_url(), "requests_per_minute": 1_000_000,
                "tokens_per_minute": 10**10, "max_concurrency": 8, "request_timeout_seconds": 10.0,
                "poll_interval": 0.005, "batch_export_interval_seconds": 0.05,
                "signal_max_age_seconds": 100_000, "csv_output_directory": str(folder), **settings,
            })  # fmt: skip
            limits = RateLimiter(config.requests_per_minute, config.tokens_per_minute, clock=time)
            processor = LLMProcessor(
                config, api_key=SecretStr(key), clock=time, sleep=time.sleep, rng=random.Random(7),
                breaker=breaker(time), limiter=AsyncRateLimiter(limits, call_later=time.call_later),
            )  # fmt: skip
            store = SignalMemoryStore(config.max_memory_signals, clock=time)
            exporter = LLMCSVExporter(config)
            worker = LLMWorker(
                config, store, database, exporter, processor=processor, parser=parser, clock=time
            )
            built = Rig(simulator, proxy, time, worker, folder)
            built.start()
            try:
                yield built
            finally:
                await built.stop()
                await asyncio.to_thread(exporter.close, 2.0)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[tuple[str, int]]:
    """Where ``handler`` answers every POST."""
    app = web.Application(client_max_size=16 * 1_048_576)
    app.router.add_post("/{tail:.*}", handler)
    async with TestServer(app) as server:
        assert server.port is not None
        yield "127.0.0.1", server.port


def completion_body(content: object, **fields: object) -> bytes:
    """A chat completion with this content, as OpenRouter sends it."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    body = {"id": "gen-1-a", "model": "served/model", "provider": "P", "choices": [choice], **fields}
    return json.dumps(body).encode()


def rows(folder: Path) -> list[dict[str, str]]:
    """The rows of llm_signals.csv."""
    file = folder / "llm_signals.csv"
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def summary(folder: Path) -> Any:
    """The summary file."""
    return json.loads((folder / "llm_processing_summary.json").read_text(encoding="utf-8"))


async def wait_until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Return once ``condition`` holds; TimeoutError after ``seconds``."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  files and counters have no event
            await asyncio.sleep(PACE_SECONDS)
