"""The sides that are measured against each other: this sidecar, a bare POST, and the field's clients.

All of them ask the same server about the same signals. The sidecar does the whole job, from the queued signal
to rows in PostgreSQL and in the CSV files; the others make the call and read the rating out of the reply.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import orjson

from benchmarks.calls import KEY, MODEL, Caller, Calls, Setup
from benchmarks.peers import Instructor, LiteLLM, LiteLLMRouter, OpenAI
from benchmarks.samples import signals
from database import DatabaseManager
from llm_integration import (
    LLMConfig,
    LLMCSVExporter,
    LLMProcessor,
    LLMResponseParser,
    LLMWorker,
    Signal,
    SignalFormatter,
    SignalMemoryStore,
)
from llm_integration.csv_exporter import files as csv_files

__all__ = ["CALLERS", "Caller", "Setup"]

STALLED_STATEMENT_SECONDS = 1.0


class Sidecar:
    """The whole job: store, formatter, limits, call, parser, PostgreSQL, CSV."""

    def __init__(self) -> None:
        self._database: DatabaseManager | None = None
        self._exporter: LLMCSVExporter | None = None
        self._prepared: list[dict[str, Any]] = []

    async def open(self, setup: Setup) -> None:
        if setup.slow_disk:
            _slow_the_disk(setup.slow_disk)
        config = _unlimited(setup)
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


class BarePost(Calls):
    """aiohttp: the same bytes there, the reply's bytes back, nothing read."""

    async def connect(self) -> None:
        self._bodies = [orjson.dumps(self.body(number)) for number in range(len(self._prompts))]
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._setup.concurrency),
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
        )
        self._url = f"{self._setup.base_url}/chat/completions"
        self._close = self._session.close

    def body(self, number: int) -> dict[str, Any]:
        """What is asked, before it is JSON."""
        return {
            "model": MODEL,
            "messages": self.messages(number),
            "max_tokens": 2000,
            "temperature": 0.0,
            "response_format": {"type": "json_object"},
            "stream": False,
            "reasoning": {"effort": "minimal"},
        }

    async def call(self, number: int) -> None:
        async with self._session.post(self._url, data=self._bodies[number]) as response:
            await response.read()


class UsualPost(BarePost):
    """aiohttp as it is usually written: ``json=`` there, ``response.json()`` back, the rating read."""

    async def call(self, number: int) -> None:
        async with self._session.post(self._url, json=self.body(number)) as response:
            reply = await response.json()
        json.loads(reply["choices"][0]["message"]["content"])["rating"]


class ClientCall(Calls):
    """This sidecar's client alone: a ready prompt in, a classified reply out."""

    async def connect(self) -> None:
        self._processor = LLMProcessor(_unlimited(self._setup))
        self._close = self._processor.close

    async def call(self, number: int) -> None:
        await self._processor.complete(self._prompts[number], system=self._system)


class ByHand(Calls):
    """Formatter, client and parser of this sidecar, called one after the other; nothing stored."""

    async def connect(self) -> None:
        config = _unlimited(self._setup)
        self._processor, self._parser = LLMProcessor(config), LLMResponseParser()
        self._formatter = SignalFormatter(config)
        self._signals = signals(self._setup.tag, self._setup.lookback)
        self._left: list[dict[str, Any]] = []
        self._close = self._processor.close

    def prepare(self, count: int) -> None:
        self._left = list(itertools.islice(self._signals, count))

    async def call(self, number: int) -> None:
        if not self._left:
            self.prepare(1)
        given = self._left.pop(0)
        prompt = self._formatter.prompt(Signal.from_mapping(given["signal_id"], given["signal_data"]))
        reply = await self._processor.complete(prompt.user, system=prompt.system)
        self._parser.parse(reply.text)


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
    "aiohttp, json": UsualPost,
    "client": ClientCall,
    "by hand": ByHand,
    "openai": OpenAI,
    "litellm": LiteLLM,
    "litellm Router": LiteLLMRouter,
    "instructor": Instructor,
    "bare loop": Nothing,
}


def _unlimited(setup: Setup) -> LLMConfig:
    """Settings whose limits nothing here comes near to."""
    return LLMConfig(
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
