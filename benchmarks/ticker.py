"""How late the event loop is: a 1 ms ticker, and the time each callback takes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
from array import array
from collections.abc import Callable
from typing import Any

from benchmarks.figures import percentiles

__all__ = ["BUCKETS_MS", "CallbackWatch", "CoreWait", "Ticker"]

INTERVAL = 0.001
BUCKETS_MS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


class CoreWait:
    """How long this thread has been ready to run without getting a core (Linux; else it is not known)."""

    def __init__(self) -> None:
        self._file: int | None = None
        with contextlib.suppress(OSError):
            self._file = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)

    @property
    def known(self) -> bool:
        """False where the system does not tell."""
        return self._file is not None

    def seconds(self) -> float:
        """Since the thread began."""
        return 0.0 if self._file is None else int(os.pread(self._file, 100, 0).split()[1]) / 1e9

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Ticker:
    """Asks the loop to call back in a millisecond, again and again, and notes how much later it did.

    Beside it, how much of that was not spent waiting for a core.
    """

    def __init__(self) -> None:
        self._lags = array("d")
        self._own = array("d")
        self._core = CoreWait()
        self._waited = self._core.seconds()
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Begin to tick."""
        self._next()

    def stop(self) -> dict[str, Any]:
        """End, and say what was seen, in milliseconds."""
        if self._handle is not None:
            self._handle.cancel()
        lags = [lag * 1000 for lag in self._lags]
        histogram = [sum(1 for lag in lags if lag <= edge) for edge in BUCKETS_MS]
        own = percentiles([lag * 1000 for lag in self._own]) if self._core.known else None
        self._core.close()
        return {**percentiles(lags), "own": own, "ticks": len(lags), "histogram": [*histogram, len(lags)]}

    def _next(self) -> None:
        self._due = time.perf_counter() + INTERVAL  # uvloop's own clock counts in whole milliseconds
        self._handle = self._loop.call_later(INTERVAL, self._tick)

    def _tick(self) -> None:
        lag = max(0.0, time.perf_counter() - self._due)
        self._lags.append(lag)
        if self._core.known:
            waited = self._core.seconds()
            self._own.append(max(0.0, lag - (waited - self._waited)))
            self._waited = waited
        self._next()


class CallbackWatch:
    """Times every callback of asyncio's own loop; the longest by the clock and by the thread's CPU time.

    A callback that the operating system interrupts is long by the clock only.
    """

    def __init__(self) -> None:
        self.times = array("d")
        self.cpu = array("d")
        self.turns = array("d")
        """CPU seconds of each turn of the loop: what a timer that falls due has to wait for at most."""
        self.longest: tuple[float, str] = (0.0, "")
        self.collections = array("d", [0.0])
        """Seconds of each run of the garbage collector over everything, which falls into some callback."""
        self._collecting = 0.0
        self._original = asyncio.Handle._run
        self._loop_class: Any = vars(asyncio)["BaseEventLoop"]
        self._turn: Callable[[Any], None] = self._loop_class._run_once

    def __enter__(self) -> CallbackWatch:
        original, clock, cpu_clock = self._original, time.perf_counter, time.thread_time
        watch = self

        def timed(handle: asyncio.Handle) -> None:
            started, cpu_started = clock(), cpu_clock()
            try:
                original(handle)
            finally:
                cpu = cpu_clock() - cpu_started
                watch.times.append(clock() - started)
                watch.cpu.append(cpu)
                if cpu > watch.longest[0]:
                    watch.longest = (cpu, _name(handle))

        # The one place every callback passes.
        asyncio.Handle._run = timed  # type: ignore[assignment, method-assign]  # a method, for one run
        self._loop_class._run_once = self._timed_turn()
        gc.callbacks.append(self._collected)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.Handle._run = self._original  # type: ignore[method-assign]  # as it was
        self._loop_class._run_once = self._turn
        gc.callbacks.remove(self._collected)

    def _timed_turn(self) -> Callable[[Any], None]:
        original, cpu_clock, turns = self._turn, time.thread_time, self.turns

        def turn(loop: Any) -> None:
            started = cpu_clock()
            try:
                original(loop)
            finally:
                turns.append(cpu_clock() - started)

        return turn

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.perf_counter()
        elif info["generation"] == 2:
            self.collections.append(time.perf_counter() - self._collecting)

    def as_dict(self) -> dict[str, Any]:
        """In milliseconds."""
        clock = percentiles([value * 1000 for value in self.times])
        cpu = percentiles([value * 1000 for value in self.cpu])
        return {
            "clock": clock,
            "cpu": cpu,
            "turn": percentiles([value * 1000 for value in self.turns]),
            "count": len(self.times),
            "longest": self.longest[1],
            "collection": max(self.collections) * 1000,
        }


def _name(handle: asyncio.Handle) -> str:
    callback: Any = getattr(handle, "_callback", None)
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        code = getattr(owner.get_coro(), "__qualname__", "?")
        return f"{owner.get_name() if 'sidecar' in owner.get_name() else 'task'}: {code}"
    return str(getattr(callback, "__qualname__", type(callback).__name__))
