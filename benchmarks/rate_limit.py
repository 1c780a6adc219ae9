"""4. Rate limit: hours of bursty load in seconds, against a server that counts in two ways.

The limiter runs on an event loop whose clock is moved by hand, so an hour takes as long as its events.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.figures import compact
from benchmarks.outcome import Options, Outcome, Table, Verdict
from llm_integration.rate_limiter import AsyncRateLimiter, RateLimiter

__all__ = ["TITLE", "Judged", "judge", "run"]

TITLE = "Rate limit"
LIMIT = 14
WINDOW = 60.0
FASTEST, SLOWEST = 0.02, 0.25
"""Seconds a request takes to reach the server."""


def run(options: Options) -> Outcome:
    """The same load through this limiter and through two common ones."""
    hours = options.pick(24, 1)
    sides = {
        "this limiter": _this_limiter,
        "token bucket, full at the start": _bucket,
        "so many per calendar minute": _calendar,
    }
    found: dict[str, Judged] = {}
    for name, send in sides.items():
        load = _bursts(hours, random.Random(7))
        found[name] = judge(load, send(load), random.Random(11))
    return Outcome(
        "rate_limit",
        TITLE,
        [_table(found, hours)],
        _verdicts(found["this limiter"]),
        raw={name: asdict(judged) for name, judged in found.items()},
    )


def _bursts(hours: float, rng: random.Random) -> list[float]:
    """When signals come: each hour 15 minutes of steady overload and six bursts, lulls between."""
    times: list[float] = []
    for hour in range(int(hours)):
        start = hour * 3600.0
        times += [start + number * 60 / 20 for number in range(300)]  # 20 a minute for 15 minutes
        for _ in range(6):
            burst = start + 1500 + rng.random() * 2000
            times += [burst + rng.random() * 2 for _ in range(rng.randint(10, 60))]
    return sorted(times)


@dataclass(slots=True)
class _Clock:
    """Virtual time with timers; for one limiter."""

    now: float = 0.0
    timers: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    cancelled: set[int] = field(default_factory=set)
    numbers: Any = field(default_factory=itertools.count)

    def call_later(self, delay: float, callback: Callable[[], None]) -> _Timer:
        number = next(self.numbers)
        heapq.heappush(self.timers, (self.now + delay, number, callback))
        return _Timer(self, number)

    def advance(self, until: float) -> None:
        """Fire what is due up to ``until``."""
        while self.timers and self.timers[0][0] <= until:
            due, number, callback = heapq.heappop(self.timers)
            self.now = max(self.now, due)
            if number not in self.cancelled:
                callback()
            self.cancelled.discard(number)
        self.now = until


@dataclass(slots=True)
class _Timer:
    clock: _Clock
    number: int

    def cancel(self) -> None:
        self.clock.cancelled.add(self.number)


def _this_limiter(load: Sequence[float]) -> list[float]:
    return asyncio.run(_drive(load))


async def _drive(load: Sequence[float]) -> list[float]:
    clock = _Clock()
    limiter = AsyncRateLimiter(RateLimiter(LIMIT, clock=lambda: clock.now), call_later=clock.call_later)
    sent: list[float] = []

    async def one() -> None:
        permit = await limiter.acquire(1000)
        limiter.sent(permit)
        sent.append(clock.now)
        limiter.settle(permit, 900)
        limiter.release(permit)

    waiting = []
    for moment in load:
        await _until(clock, moment)
        waiting.append(asyncio.create_task(one()))
        await asyncio.sleep(0)
    while len(sent) < len(load):
        await _until(clock, clock.now + 1)
    await asyncio.gather(*waiting)
    return sent


async def _until(clock: _Clock, moment: float) -> None:
    """Let time pass, one timer after the other, and let those who were woken run."""
    while clock.timers and clock.timers[0][0] <= moment:
        clock.advance(clock.timers[0][0])
        for _ in range(3):
            await asyncio.sleep(0)
    clock.advance(moment)


def _bucket(load: Sequence[float]) -> list[float]:
    """LIMIT tokens at once, one more every WINDOW / LIMIT seconds: how most libraries count."""
    sent: list[float] = []
    tokens, last = float(LIMIT), 0.0
    for moment in load:
        now = max(moment, sent[-1] if sent else 0.0)
        tokens, last = min(LIMIT, tokens + (now - last) * LIMIT / WINDOW), now
        if tokens < 1:
            now += (1 - tokens) * WINDOW / LIMIT
            tokens, last = 1.0, now
        tokens -= 1
        sent.append(now)
    return sent


def _calendar(load: Sequence[float]) -> list[float]:
    """LIMIT in each minute of the clock."""
    sent: list[float] = []
    for moment in load:
        now = max(moment, sent[-1] if sent else 0.0)
        start = now // WINDOW * WINDOW
        if len(sent) >= LIMIT and sent[-LIMIT] >= start:
            now = start + WINDOW
        sent.append(now)
    return sent


def _best(load: Sequence[float]) -> list[float]:
    """Nobody can do better: in order, each as early as a sliding window with no network in between allows."""
    sent: list[float] = []
    for moment in load:
        earliest = sent[-LIMIT] + WINDOW if len(sent) >= LIMIT else 0.0
        sent.append(max(moment, earliest, sent[-1] if sent else 0.0))
    return sent


@dataclass(frozen=True, slots=True)
class Judged:
    """What two servers and the clock say to a schedule. Times in seconds."""

    signals: int
    refused_sliding: int
    refused_calendar: int
    most_in_a_window: int
    share: float
    longest_wait: float
    best_wait: float
    longest_behind_best: float


def judge(load: Sequence[float], sent: Sequence[float], rng: random.Random) -> Judged:
    """Hold the moments of sending against when the signals came and what the servers allow."""
    arrived = sorted(moment + rng.uniform(FASTEST, SLOWEST) for moment in sent)
    best = _best(load)
    return Judged(
        signals=len(load),
        refused_sliding=_refused_sliding(arrived),
        refused_calendar=_refused_calendar(arrived),
        most_in_a_window=_most(arrived),
        share=_share(load, sent, best),
        longest_wait=max(a - b for a, b in zip(sent, load, strict=True)),
        best_wait=max(a - b for a, b in zip(best, load, strict=True)),
        longest_behind_best=max(a - b for a, b in zip(sent, best, strict=True)),
    )


def _refused_sliding(arrived: Sequence[float]) -> int:
    """Refusals of a server that allows LIMIT in any WINDOW seconds; what it refuses it does not count."""
    taken: list[float] = []
    refused = 0
    for moment in arrived:
        if len(taken) >= LIMIT and taken[-LIMIT] > moment - WINDOW:
            refused += 1
        else:
            taken.append(moment)
    return refused


def _refused_calendar(arrived: Sequence[float]) -> int:
    minutes: dict[int, int] = {}
    for moment in arrived:
        minutes[int(moment // WINDOW)] = minutes.get(int(moment // WINDOW), 0) + 1
    return sum(max(0, count - LIMIT) for count in minutes.values())


def _most(arrived: Sequence[float]) -> int:
    return max(at + 1 - bisect_right(arrived, moment - WINDOW) for at, moment in enumerate(arrived))


def _share(load: Sequence[float], sent: Sequence[float], best: Sequence[float]) -> float:
    """How long the best schedule has a queue, over how long this one has: 1 when no room is wasted."""
    busy = _busy(load, sent)
    return _busy(load, best) / busy if busy else math.nan


def _busy(load: Sequence[float], sent: Sequence[float]) -> float:
    """Seconds in which somebody waited."""
    total, end = 0.0, 0.0
    for arrival, departure in zip(load, sent, strict=True):
        start = max(arrival, end)
        if departure > start:
            total, end = total + departure - start, departure
    return total


def _table(found: dict[str, Judged], hours: int) -> Table:
    return Table(
        f"{LIMIT} requests a minute, {hours} hours of bursts, {found['this limiter'].signals:,} "
        "signals",
        ["limiter", "refused, sliding windows", "refused, calendar minutes", "most in any 60 s",
         "share of the quota used", "longest wait, s", "best possible, s", "furthest behind the best, s"],
        [
            [
                name, f.refused_sliding, f.refused_calendar, f.most_in_a_window,
                f"{f.share:.2%}", compact(f.longest_wait), compact(f.best_wait),
                compact(f.longest_behind_best),
            ]
            for name, f in found.items()
        ],
        "Requests need 20 to 250 ms to the server. The share is taken over the time in which signals "
        "wait; over 100% means "
        "sending more than the server allows, and paying for it with refusals.",
    )  # fmt: skip


def _verdicts(mine: Judged) -> list[Verdict]:
    refused = mine.refused_sliding + mine.refused_calendar
    share = mine.share
    return [
        Verdict("quota used under load", ">= 98%", f"{share:.2%}", share >= 0.98),
        Verdict("refusals, no window over the limit", "0", f"{refused}", refused == 0),
    ]
