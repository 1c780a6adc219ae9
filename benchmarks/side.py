"""The process of one side: reads commands as JSON lines, does them, answers with JSON lines.

``python -m benchmarks.side CALLER LOOP``. Each side has a process of its own, so that no one's imports,
garbage and threads weigh on another's; they take turns, so that the machine's moods fall on all of them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from typing import Any

from benchmarks import loops
from benchmarks.callers import CALLERS, Caller, Setup
from benchmarks.resident import rss_mib
from benchmarks.ticker import CallbackWatch, Ticker

FULL = 64
"""Calls kept waiting when a side is to be saturated."""
FASTEST = 2_000
"""Signals a second that are made beforehand for a saturated side, so that making them is not measured."""


class Side:
    """Does commands."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def do(self, command: dict[str, Any]) -> dict[str, Any]:
        """One command; its answer."""
        match command.pop("do"):
            case "open":
                await self._caller.open(Setup(**command))
                return {"rss_mib": rss_mib()}
            case "burst":
                return await self._burst(**command)
            case "lag":
                return await self._lag(**command)
            case "close":
                await self._caller.close()
                return {"rss_mib": rss_mib()}
            case other:
                raise ValueError(other)

    async def _burst(self, count: int) -> dict[str, Any]:
        self._caller.prepare(count)
        gc.collect()
        gc.freeze()
        wall, cpu, loop_cpu = time.perf_counter(), time.process_time(), time.thread_time()
        await self._caller.burst(count)
        return {
            "count": count,
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "loop_cpu": time.thread_time() - loop_cpu,
        }

    async def _lag(self, seconds: float, rate: float | None, *, watch: bool = False) -> dict[str, Any]:
        """The ticker while calls are made at ``rate`` a second, None for as fast as they go, 0 for none."""
        self._caller.prepare(int(seconds * (FASTEST if rate is None else rate)))
        gc.collect()
        gc.freeze()
        ticker = Ticker()
        end = time.monotonic() + seconds
        calls = 0
        ticker.start()
        callbacks = CallbackWatch()
        if watch:
            callbacks.__enter__()
        try:
            while (now := time.monotonic()) < end:
                if rate == 0:
                    await asyncio.sleep(end - now)
                elif rate is None:
                    for _ in range(min(8, FULL - self._caller.backlog())):
                        await self._caller.one()
                        calls += 1
                    await asyncio.sleep(0.001)
                else:
                    await self._caller.one()
                    calls += 1
                    await asyncio.sleep(max(0.0, end - seconds + calls / rate - time.monotonic()))
        finally:
            if watch:
                callbacks.__exit__()
        answer = {"lag": ticker.stop(), "calls": calls}
        return {**answer, "callbacks": callbacks.as_dict()} if watch else answer


async def serve(name: str) -> None:
    """Until the standard input ends."""
    side = Side(CALLERS[name]())
    loop = asyncio.get_running_loop()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints does not mix with the answers
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            answer = await side.do(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os._exit(0)  # a peer's leftover threads must not keep the process


if __name__ == "__main__":
    loops.run(serve(sys.argv[1]), sys.argv[2])
