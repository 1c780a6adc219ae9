"""The sides that are measured against each other: this sidecar, a bare POST, and the field's clients.

All of them ask the same server about the same signals. The sidecar does the whole job, from the queued signal
to rows in PostgreSQL and in the CSV files; the others make the call and read the rating out of the reply.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import orjson
from pydantic import create_model

from benchmarks.instant_server import GOOD_CONTENT
from benchmarks.samples import signals
from database import DatabaseManager
from llm_integration import LLMConfig, LLMCSVExporter, LLMWorker, SignalFormatter, SignalMemoryStore
from llm_integration.csv_exporter import files as csv_files

__all__ = ["CALLERS", "Caller", "Setup"]

KEY = "sk-or-v1-not-a-key"
MODEL = "google/gemini-3.5-flash-lite"
STALLED_STATEMENT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Setup:
    """Where to call, how many calls at once, where to store."""

    base_url: str
    concurrency: int = 8
    dsn: str = ""
    folder: str = ""
    lookback: int = 20
    slow_disk: float = 0.0
    tag: str = "side"


class Caller(Protocol):
    """One side."""

    async def open(self, setup: Setup) -> None:
        """Get ready: connect, warm up what is warmed up once per process."""

    def prepare(self, count: int) -> None:
        """Make the next ``count`` signals or prompts, so that this is not part of what is measured."""

    async def burst(self, count: int) -> None:
        """Make the prepared calls as fast as the concurrency allows."""

    async def one(self) -> None:
        """Make one more call, or hand over one more signal."""

    def backlog(self) -> int:
        """Calls under way or waiting."""

    async def close(self) -> None:
        """Let go of everything."""


class Sidecar:
    """The whole job: store, formatter, limits, call, parser, PostgreSQL, CSV."""

    def __init__(self) -> None:
        self._database: DatabaseManager | None = None
        self._exporter: LLMCSVExporter | None = None
        self._prepared: list[dict[str, Any]] = []

    async def open(self, setup: Setup) -> None:
        if setup.slow_disk:
            _slow_the_disk(setup.slow_disk)
        config = LLMConfig(
            base_url=setup.base_url,
            model=MODEL,
            requests_per_minute=1_000_000,
            tokens_per_minute=10_000_000_000,
            max_concurrency=setup.concurrency,
            max_memory_signals=200_000,
            lookback_periods=setup.lookback,
            csv_output_directory=setup.folder or "unused",
            csv_queue_size=1_000_000,
            batch_export_interval_seconds=2.0,
        )
        self._signals: Iterator[dict[str, Any]] = signals(setup.tag, setup.lookback)
        if setup.dsn:
            self._database = DatabaseManager(setup.dsn, statement_timeout=STALLED_STATEMENT_SECONDS)
            await self._database.connect()
        if setup.folder:
            self._exporter = LLMCSVExporter(config)
        self._store = SignalMemoryStore(config.max_memory_signals)
        self._worker = LLMWorker(config, self._store, self._database, self._exporter)
        self._running = asyncio.create_task(self._worker.run())
        await asyncio.sleep(0.05)

    def prepare(self, count: int) -> None:
        self._prepared = list(itertools.islice(self._signals, count))

    async def burst(self, count: int) -> None:
        answered = self._worker.get_statistics()["completed"]
        for signal in self._prepared[:count]:
            self._store.add_signal(signal)
        if not await self._worker.drain(120):
            raise RuntimeError("the sidecar did not finish")
        if self._worker.get_statistics()["completed"] - answered < count:
            raise RuntimeError(f"not every signal was answered: {self._worker.get_statistics()}")
        if self._exporter is not None:
            await asyncio.to_thread(self._exporter.flush, 30)

    async def one(self) -> None:
        if not self._prepared:
            self.prepare(1)
        self._store.add_signal(self._prepared.pop(0))

    def backlog(self) -> int:
        counts = self._store.get_statistics()
        return counts["pending"] + counts["processing"]

    async def close(self) -> None:
        await self._worker.stop(2)
        await self._running
        if self._exporter is not None:
            await asyncio.to_thread(self._exporter.close, 5)
        if self._database is not None:
            await self._database.close()


class _Calls:
    """What the other sides share: calls with a bound on how many are under way."""

    async def open(self, setup: Setup) -> None:
        self._setup = setup
        self._gate = asyncio.Semaphore(setup.concurrency)
        formatter = SignalFormatter(LLMConfig(lookback_periods=setup.lookback))
        self._system = formatter.system_prompt
        some = itertools.islice(signals(setup.tag, setup.lookback), 64)
        self._prompts = [formatter.format_signal_data(signal["signal_data"]) for signal in some]
        self._next = itertools.cycle(range(len(self._prompts)))
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = 0
        self._close: Callable[[], Awaitable[Any]] | None = None
        await self.connect()
        await self.call(0)

    async def connect(self) -> None:
        raise NotImplementedError

    async def call(self, number: int) -> None:
        raise NotImplementedError

    def messages(self, number: int) -> list[dict[str, str]]:
        return [
            {"role": "system", "content": self._system},
            {"role": "user", "content": self._prompts[number]},
        ]

    def prepare(self, count: int) -> None:
        """Nothing: the prompts are there."""

    async def burst(self, count: int) -> None:
        left = iter(range(count))

        async def lane() -> None:
            for _ in left:
                await self.call(next(self._next))

        await asyncio.gather(*(lane() for _ in range(self._setup.concurrency)))

    async def one(self) -> None:
        task = asyncio.create_task(self._gated())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _gated(self) -> None:
        async with self._gate:
            try:
                await self.call(next(self._next))
            except Exception:  # a peer may stumble over a hostile reply; its loop lag is what is looked at
                self._failed += 1

    def backlog(self) -> int:
        return len(self._tasks)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        if self._close is not None:
            await self._close()


class BarePost(_Calls):
    """aiohttp: the same bytes there, the reply's bytes back, nothing read."""

    async def connect(self) -> None:
        self._bodies = [
            orjson.dumps(
                {
                    "model": MODEL,
                    "messages": self.messages(number),
                    "max_tokens": 2000,
                    "temperature": 0.0,
                    "response_format": {"type": "json_object"},
                    "stream": False,
                    "reasoning": {"effort": "minimal"},
                }
            )
            for number in range(len(self._prompts))
        ]
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._setup.concurrency),
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
        )
        self._url = f"{self._setup.base_url}/chat/completions"
        self._close = self._session.close

    async def call(self, number: int) -> None:
        async with self._session.post(self._url, data=self._bodies[number]) as response:
            await response.read()


class OpenAI(_Calls):
    """The openai package."""

    async def connect(self) -> None:
        openai = importlib.import_module("openai")
        self._client = openai.AsyncOpenAI(base_url=self._setup.base_url, api_key=KEY, max_retries=0)
        self._close = self._client.close

    async def call(self, number: int) -> None:
        reply = await self._client.chat.completions.create(
            model=MODEL,
            messages=self.messages(number),
            max_tokens=2000,
            temperature=0.0,
            response_format={"type": "json_object"},
        )
        json.loads(reply.choices[0].message.content)["rating"]


class LiteLLM(_Calls):
    """litellm.acompletion."""

    async def connect(self) -> None:
        self._completion = _litellm().acompletion

    async def call(self, number: int) -> None:
        reply = await self._completion(
            model=f"openai/{MODEL}",
            api_base=self._setup.base_url,
            api_key=KEY,
            messages=self.messages(number),
            max_tokens=2000,
            temperature=0.0,
            response_format={"type": "json_object"},
            num_retries=0,
        )
        json.loads(reply.choices[0].message.content)["rating"]


class LiteLLMRouter(LiteLLM):
    """litellm's Router, which is where its rate limits and fallbacks are."""

    async def connect(self) -> None:
        parameters = {"model": f"openai/{MODEL}", "api_base": self._setup.base_url, "api_key": KEY}
        router = _litellm().Router(
            model_list=[{"model_name": f"openai/{MODEL}", "litellm_params": parameters}], num_retries=0
        )

        def completion(**options: Any) -> Awaitable[Any]:
            wanted = {"model", "messages", "max_tokens", "temperature", "response_format"}
            call: Awaitable[Any] = router.acompletion(
                **{name: value for name, value in options.items() if name in wanted}
            )
            return call

        self._completion = completion


class Instructor(_Calls):
    """instructor over the openai package, in JSON mode."""

    async def connect(self) -> None:
        instructor, openai = importlib.import_module("instructor"), importlib.import_module("openai")
        client = openai.AsyncOpenAI(base_url=self._setup.base_url, api_key=KEY, max_retries=0)
        self._client = instructor.from_openai(client, mode=instructor.Mode.JSON)
        fields: dict[str, Any] = dict.fromkeys(json.loads(GOOD_CONTENT), (str, ...))
        self._reply = create_model("Rating", **{**fields, "rating": (int, ...)})
        self._close = client.close

    async def call(self, number: int) -> None:
        await self._client.chat.completions.create(
            model=MODEL,
            messages=self.messages(number),
            max_tokens=2000,
            temperature=0.0,
            response_model=self._reply,
            max_retries=1,
        )


class Nothing:
    """The bare loop."""

    async def open(self, setup: Setup) -> None:
        """Nothing to open."""

    def prepare(self, count: int) -> None:
        """Nothing to prepare."""

    async def burst(self, count: int) -> None:
        """Nothing to do."""

    async def one(self) -> None:
        """Nothing to do."""

    def backlog(self) -> int:
        return 1_000_000  # never asks for more

    async def close(self) -> None:
        """Nothing to close."""


CALLERS: dict[str, Callable[[], Caller]] = {
    "sidecar": Sidecar,
    "aiohttp": BarePost,
    "openai": OpenAI,
    "litellm": LiteLLM,
    "litellm Router": LiteLLMRouter,
    "instructor": Instructor,
    "bare loop": Nothing,
}


def _litellm() -> Any:
    module: Any = importlib.import_module("litellm")
    module.suppress_debug_info = True
    module.telemetry = False
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)
    return module


def _slow_the_disk(seconds: float) -> None:
    """Every write and fsync of the CSV files takes ``seconds``, as on a disk that does not keep up."""
    real: Any = csv_files.__dict__["os"]

    class SlowDisk:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def write(self, descriptor: int, data: bytes) -> int:
            time.sleep(seconds)
            written: int = real.write(descriptor, data)
            return written

        def fsync(self, descriptor: int) -> None:
            time.sleep(seconds)
            real.fsync(descriptor)

    csv_files.__dict__["os"] = SlowDisk()  # for these files only, not for the whole process
