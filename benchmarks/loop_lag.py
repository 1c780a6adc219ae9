"""2. Loop lag: how late a 1 ms ticker on the host's loop becomes, in every state the sidecar can be in."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from benchmarks import loops
from benchmarks.figures import compact, median, spread
from benchmarks.outcome import Chart, Options, Outcome, Table, Verdict
from benchmarks.sides import Postgres, Side, instant_server, missing, postgres, scratch, side, stopped
from benchmarks.ticker import BUCKETS_MS

__all__ = ["TITLE", "run"]

TITLE = "Loop lag"
CONCURRENCY = 8
POINTS = ("p50", "p99", "p99.9", "max")


@dataclass(frozen=True, slots=True)
class State:
    """What goes on while the ticker ticks. ``rate`` in calls a second, None for as many as possible."""

    name: str
    caller: str
    rate: float | None
    path: str = "v1"
    stall: bool = False
    slow_disk: float = 0.0


STATES = (
    State("idle", "sidecar", 0),
    State("50 signals/s", "sidecar", 50),
    State("saturated", "sidecar", None),
    State("hostile replies, saturated", "sidecar", None, path="hostile/v1"),
    State("PostgreSQL stalled, 50 signals/s", "sidecar", 50, stall=True),
    State("slow disk, saturated", "sidecar", None, slow_disk=0.2),
)
PEERS = (
    State("aiohttp, saturated", "aiohttp", None),
    State("openai, 50 calls/s", "openai", 50),
    State("openai, saturated", "openai", None),
    State("litellm, 50 calls/s", "litellm", 50),
    State("litellm, saturated", "litellm", None),
)
CHARTED: tuple[str, ...] = (
    "saturated", "hostile replies, saturated", "openai, saturated", "litellm, saturated",
)  # fmt: skip

Found = dict[str, list[dict[str, Any]]]


def run(options: Options) -> Outcome:
    """Each state next to a bare loop, which ticks at the same time in a process of its own."""
    return loops.run(_run(options))


async def _run(options: Options) -> Outcome:
    skipped: list[str] = []
    found: dict[str, Found] = {}
    async with instant_server() as server, postgres() as database:
        for loop in loops.available():
            found[loop] = {}
            async with side("bare loop", loop) as bare:
                await bare.ask("open", base_url="")
                for state in (*STATES, *(PEERS if loop == "asyncio" else PEERS[:1])):
                    if reason := missing(state.caller):
                        if reason not in skipped:
                            skipped.append(reason)
                        continue
                    runs = _Runs(state, loop, bare, options)
                    found[loop][state.name] = await runs.measure(server, database)
    return Outcome(
        "loop_lag", TITLE,
        [*(_table(rows, loop) for loop, rows in found.items()), _callbacks(found["asyncio"])],
        _verdicts(found), [_chart(rows, loop) for loop, rows in found.items()], skipped, {"runs": found},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Runs:
    """A B A B: the bare loop alone, then the state with a bare loop beside it."""

    state: State
    loop: str
    bare: Side
    options: Options

    async def measure(self, server: str, database: Postgres) -> list[dict[str, Any]]:
        """One dictionary per repeat."""
        state = self.state
        setup: dict[str, Any] = {"base_url": f"{server}/{state.path}", "concurrency": CONCURRENCY}
        with scratch() as folder:
            async with side(state.caller, self.loop) as one:
                if state.caller == "sidecar":
                    setup |= {
                        "dsn": await database.database(), "folder": str(folder), "slow_disk": state.slow_disk,
                    }  # fmt: skip
                await one.ask("open", **setup)
                await one.ask("lag", seconds=0.2, rate=state.rate)
                results = [await self._repeat(one, database) for _ in range(self.options.pick(3, 1))]
                await one.ask("close")
        return results

    async def _repeat(self, one: Side, database: Postgres) -> dict[str, Any]:
        rate, seconds = self.state.rate, self.options.pick(3, 1) / 2
        alone = await self.bare.ask("lag", seconds=0.2, rate=0)
        callbacks = None
        with stopped(database.processes()) if self.state.stall else nullcontext():
            busy, beside = await asyncio.gather(
                one.ask("lag", seconds=seconds, rate=rate), self.bare.ask("lag", seconds=seconds, rate=0)
            )
            if self.loop == "asyncio":
                callbacks = (await one.ask("lag", seconds=0.8, rate=rate, watch=True))["callbacks"]
        return {
            "busy": busy["lag"], "beside": beside["lag"], "alone": alone["lag"], "calls": busy["calls"],
            "seconds": seconds, "callbacks": callbacks,
        }  # fmt: skip


def _own(runs: Sequence[dict[str, Any]], point: str) -> list[float]:
    """Lateness without the waits for a core; not a number where the system does not tell."""
    return [run["busy"]["own"][point] if run["busy"]["own"] else math.nan for run in runs]


def _of(runs: Sequence[dict[str, Any]], who: str, point: str) -> list[float]:
    return [run[who][point] for run in runs]


def _table(found: Found, loop: str) -> Table:
    rows: list[list[Any]] = []
    for name, runs in found.items():
        calls = sum(run["calls"] for run in runs) / sum(run["seconds"] for run in runs)
        rows.append(
            [name, compact(calls)]
            + [spread(_of(runs, "busy", point)) for point in POINTS]
            + [spread(_own(runs, point)) for point in ("p99.9", "max")]
            + [spread(_of(runs, "beside", point)) for point in ("p99.9", "max")]
        )
    alone = [run for runs in found.values() for run in runs]
    rows.append(
        [
            "bare loop, nothing else running",
            "-",
            *(spread(_of(alone, "alone", p)) for p in POINTS),
            *["-"] * 4,
        ]
    )
    return Table(
        f"Milliseconds late, {loop}: median (range) of the runs",
        [
            "state",
            "calls/s",
            "p50",
            "p99",
            "p99.9",
            "max",
            "with a core to run on: p99.9",
            "max",
            "bare loop beside it: p99.9",
            "max",
        ],
        rows,
        "A bare loop in another process ticks at the same time: what it shows is the machine being shared "
        "with the server, PostgreSQL and the ticker itself, and comes on top of what the state causes. 'With "
        "a core to run on' is without the time in which the loop's thread was ready and the operating system "
        "ran something else, 3 ms at a time.",
    )


def _callbacks(found: Found) -> Table:
    rows: list[list[Any]] = []
    for name, runs in found.items():
        seen = [run["callbacks"] for run in runs if run["callbacks"]]
        longest = max(seen, key=lambda one: float(one["cpu"]["max"]))
        rows.append(
            [
                name,
                *(compact(max(one["clock"][point] for one in seen)) for point in ("p99.9", "max")),
                *(compact(max(one["cpu"][point] for one in seen)) for point in ("p99.9", "max")),
                *(compact(max(one["turn"][point] for one in seen)) for point in ("p99.9", "max")),
                longest["longest"],
                compact(max(one["collection"] for one in seen)),
            ]
        )
    return Table(
        "Milliseconds in one callback, and in one turn of the loop with all its callbacks (asyncio)",
        [
            "state",
            "p99.9, clock",
            "max, clock",
            "p99.9, CPU",
            "max, CPU",
            "p99.9, CPU of a turn",
            "max, CPU of a turn",
            "the longest by CPU",
            "longest full garbage collection",
        ],
        rows,
        "Every callback is timed in a run of its own; an interruption by the operating system counts by "
        "the clock only. "
        "A full collection walks through everything the process holds and falls into whichever callback "
        "is running; how long "
        "it takes is a matter of the host's whole heap.",
    )


def _added(runs: Sequence[dict[str, Any]], point: str) -> float:
    """What the state adds to the bare loop that ticked beside it; the median of the runs."""
    return max(0.0, median([run["busy"][point] - run["beside"][point] for run in runs]))


def _verdicts(found: dict[str, Found]) -> list[Verdict]:
    verdicts = []
    for loop, states in found.items():
        for state in STATES[2:]:
            runs = states[state.name]
            tail, longest = _added(runs, "p99.9"), _added(runs, "max")
            verdicts.append(
                Verdict(
                    f"lag added, {state.name} ({loop})", "p99.9 <= 1 ms, max <= 5 ms",
                    f"p99.9 {compact(tail)} ms, max {compact(longest)} ms", tail <= 1 and longest <= 5,
                    _with_a_core(runs),
                )
            )  # fmt: skip
    return verdicts + _turn_verdicts(found["asyncio"])


def _with_a_core(runs: Sequence[dict[str, Any]]) -> str:
    tail, longest = (median(_own(runs, point)) for point in ("p99.9", "max"))
    if math.isnan(tail):
        return ""
    return f"in all, with a core to run on: p99.9 {compact(tail)} ms, max {compact(longest)} ms"


def _turn_verdicts(found: Found) -> list[Verdict]:
    """The same target without the clock: however busy the machine is, CPU time is our own."""
    verdicts = []
    for state in STATES[2:]:
        turns = [run["callbacks"]["turn"] for run in found[state.name] if run["callbacks"]]
        tail, longest = (median([turn[point] for turn in turns]) for point in ("p99.9", "max"))
        verdicts.append(
            Verdict(
                f"CPU of one turn of the loop, {state.name}", "p99.9 <= 1 ms, max <= 5 ms",
                f"p99.9 {compact(tail)} ms, max {compact(longest)} ms", tail <= 1 and longest <= 5,
            )
        )  # fmt: skip
    return verdicts


def _chart(found: Found, loop: str) -> Chart:
    """The share of ticks later than x: the histogram, read from its far end."""
    shown = [name for name in CHARTED if name in found]
    series = {name: _tail([run["busy"] for run in found[name]]) for name in shown}
    series["bare loop"] = _tail([run["alone"] for runs in found.values() for run in runs])
    return Chart(
        f"loop_lag_{loop}", f"How often the loop is late, {loop}", "milliseconds late or more",
        "share of ticks", series, log_x=True, log_y=True,
    )  # fmt: skip


def _tail(lags: Sequence[dict[str, Any]]) -> list[list[float]]:
    total = sum(lag["ticks"] for lag in lags)
    points = []
    for index, edge in enumerate(BUCKETS_MS):
        later = sum(lag["ticks"] - lag["histogram"][index] for lag in lags)
        if later:
            points.append([edge, later / total])
    return points
