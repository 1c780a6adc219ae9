"""Hands bars to the trading loop at a chosen speed."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from llm_integration import Bar
from llm_integration.bar_files import LIVE_BYTES, BarFile, BarReader, BarTable

__all__ = ["Pacer", "bars"]

MAX_BEHIND_SECONDS = 1.0

Pause = Callable[[asyncio.Event, float], Awaitable[None]]
"""Waits that many seconds, or less if the event is set meanwhile."""
InThread = Callable[..., Awaitable[Any]]
"""Calls a function with its arguments in a thread, as ``asyncio.to_thread`` does."""


class Pacer:
    """The schedule of the bars: one every 1/``speed`` seconds, however long each takes to handle.

    A speed of 0 means no waiting. Being late by more than a second (a suspended machine, a quiet market)
    moves the schedule instead of letting the backlog out in one burst.
    """

    def __init__(self, speed: float, clock: Callable[[], float] = time.monotonic) -> None:
        if not (math.isfinite(speed) and speed >= 0):
            raise ValueError(f"speed must be 0 (no waiting) or a number of bars per second, not {speed}")
        self._interval = 1 / speed if speed else 0.0
        self._clock = clock
        self._due: float | None = None

    def delay(self) -> float:
        """Seconds until the next bar is due, 0 or less when it is; counts that bar as handed out."""
        if not self._interval:
            return 0.0
        now = self._clock()
        due = now if self._due is None or now - self._due > MAX_BEHIND_SECONDS else self._due
        self._due = due + self._interval
        return due - now


async def bars(
    source: str | os.PathLike[str] | BarFile,
    *,
    speed: float = 0.0,
    follow: bool = False,
    stop: asyncio.Event | None = None,
    start: int = 0,
    poll_seconds: float = 0.25,
    zone: str = "UTC",
    symbol: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    pause: Pause | None = None,
    in_thread: InThread = asyncio.to_thread,
) -> AsyncIterator[Bar]:
    """The bars of ``source`` from number ``start`` on, ``speed`` of them a second, until ``stop`` is set.

    The whole file is read and checked, in a thread, before the first bar is handed out. With ``follow`` the
    feed then waits for lines to be added, looking every ``poll_seconds``; without it the feed ends. Every
    bar gives the event loop a turn, also when nothing is waited for. Raises BarDataError before the first
    bar for what the file holds; of what is added later a line that is not a bar is left out with a warning,
    and only a file that is gone, replaced or rewritten is an error. ``zone`` and ``symbol`` are for a path,
    as in ``open_bars``. Also raises what ``in_thread`` raises, which a host replaces that goes on where no
    thread can be started.
    """
    pacer, stop, pause = Pacer(speed, clock), stop or asyncio.Event(), pause or _pause
    opened = await _opened(source, stop, in_thread, follow=follow, zone=zone, symbol=symbol)
    async for bar in _paced(opened.bars[start:] if start else opened.bars, pacer, stop, pause):
        yield bar
    while follow and not stop.is_set():
        added = BarTable()
        more = await in_thread(opened.reader.read_into, added, LIVE_BYTES)
        async for bar in _paced(added, pacer, stop, pause):
            yield bar
        if not more:
            await pause(stop, poll_seconds)


async def _opened(
    source: str | os.PathLike[str] | BarFile,
    stop: asyncio.Event,
    in_thread: InThread,
    *,
    follow: bool,
    zone: str,
    symbol: str | None,
) -> BarFile:
    if isinstance(source, BarFile):
        if source.reader.growing != follow:
            raise ValueError("open_bars() and bars() must be told the same about follow")
        return source
    opened = BarFile(BarTable(), BarReader(source, growing=follow, zone=zone, symbol=symbol))
    while await in_thread(opened.reader.read_into, opened.bars):
        if stop.is_set():
            return opened
    opened.reader.check_complete(opened.bars)
    return opened


async def _paced(bars: Iterable[Bar], pacer: Pacer, stop: asyncio.Event, pause: Pause) -> AsyncIterator[Bar]:
    for bar in bars:
        delay = pacer.delay()
        if delay > 0:
            await pause(stop, delay)
        else:
            await asyncio.sleep(0)
        if stop.is_set():
            return
        yield bar


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
