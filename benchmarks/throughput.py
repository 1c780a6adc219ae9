"""3. Throughput and CPU: the whole job against a bare POST and the field's clients."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks import loops
from benchmarks.figures import compact, median, spread
from benchmarks.in_place import in_place_table
from benchmarks.outcome import Chart, Options, Outcome, Table, Verdict
from benchmarks.sides import instant_server, postgres, scratch
from benchmarks.stages import stage_table
from benchmarks.turns import Bursts, open_sides, ratio, take_turns

__all__ = ["TITLE", "run"]

TITLE = "Throughput and CPU per signal"
NAMES = ("sidecar", "aiohttp", "aiohttp, json", "openai", "litellm", "litellm Router", "instructor")
SHOWN = {
    "sidecar": "this sidecar, everything stored",
    "aiohttp": "bare aiohttp POST",
    "aiohttp, json": "aiohttp with json= and response.json()",
}
CONCURRENCY = 8
IN_FLIGHT = (1, 4, 16, 64, 256)

Pairs = dict[str, dict[str, Bursts]]


def run(options: Options) -> Outcome:
    """Bursts against a server that answers at once, then against one that takes a second."""
    return loops.run(_run(options))


async def _run(options: Options) -> Outcome:
    skipped: list[str] = []
    pairs: Pairs = {}
    async with instant_server() as server, postgres() as database:
        for loop in loops.available():
            names = NAMES if loop == "asyncio" else NAMES[:2]
            with scratch() as folder:
                async with open_sides(
                    names, server, database, folder, skipped, loop=loop, concurrency=CONCURRENCY
                ) as sides:
                    few = options.pick(150, 20)
                    counts = {
                        "*": few, "sidecar": options.pick(1500, 100), "aiohttp": options.pick(3000, 100),
                        "aiohttp, json": options.pick(1500, 100),
                    }  # fmt: skip
                    pairs[loop] = await take_turns(sides, counts, options.pick(5, 2))
        hidden = await _hidden_latency(server, database, options)
        steps, step_raw = await in_place_table(server, database, options, CONCURRENCY)
        stages, stage_raw = await stage_table(server, database, options)
    tables = [_table(pairs[loop], loop) for loop in pairs]
    raw = {loop: {name: one.as_dict() for name, one in sides.items()} for loop, sides in pairs.items()}
    return Outcome(
        "throughput", TITLE, [*tables, steps, stages, _hidden_table(hidden)], _verdicts(pairs),
        [_hidden_chart(hidden)], skipped,
        {"bursts": raw, "one_second": hidden, "steps": step_raw, "stages_us": stage_raw},
    )  # fmt: skip


async def _hidden_latency(server: str, database: Any, options: Options) -> dict[str, dict[int, float]]:
    """Signals per second when each answer takes a second, by calls in flight."""
    found: dict[str, dict[int, float]] = {"sidecar": {}, "aiohttp": {}}
    for in_flight in IN_FLIGHT[:: options.pick(1, 4)]:
        with scratch() as folder:
            async with open_sides(
                tuple(found), server, database, folder, [], path="d1000/v1", concurrency=in_flight
            ) as sides:
                count = max(2, min(3 * in_flight, 512))
                asked = [one.ask("burst", count=count) for one in sides.values()]
                for name, answer in zip(sides, await asyncio.gather(*asked), strict=True):
                    found[name][in_flight] = answer["count"] / answer["wall"]
    return found


def _table(bursts: dict[str, Bursts], loop: str) -> Table:
    bare = bursts["aiohttp"]
    rows: list[list[Any]] = [
        [
            SHOWN.get(name, name), spread(one.rate), spread(one.cpu_ms), spread(one.loop_ms),
            spread(ratio(one.cpu_ms, bare.cpu_ms)), spread(ratio(one.rate, bare.rate)),
        ]
        for name, one in bursts.items()
    ]  # fmt: skip
    return Table(
        f"{CONCURRENCY} calls in flight, {loop}: median (range) of {len(bare.rate)} turns each",
        [
            "side",
            "signals/s",
            "CPU ms, process",
            "CPU ms, loop thread",
            "CPU / bare POST",
            "rate / bare POST",
        ],
        rows,
        "The sidecar formats the prompt, calls, parses, writes signal, task and result to PostgreSQL and "
        "a row to the CSV "
        "file; the peers send a ready prompt and read the rating. CPU is the client process's own, all "
        "threads.",
    )


def _verdicts(pairs: Pairs) -> list[Verdict]:
    verdicts = []
    for loop, sides in pairs.items():
        mine, bare = sides["sidecar"], sides["aiohttp"]
        cpu, rate = median(ratio(mine.cpu_ms, bare.cpu_ms)), median(ratio(mine.rate, bare.rate))
        verdicts += [
            Verdict(
                f"host CPU per signal ({loop})", "<= 2x a bare POST", f"{compact(cpu)}x", cpu <= 2,
                "" if cpu <= 2 else "see the tables of steps and stages for where it goes",
            ),
            Verdict(
                f"signals per second ({loop})", ">= 0.5x bare aiohttp", f"{compact(rate)}x", rate >= 0.5,
                "" if rate >= 0.5 else "bound by the CPU above",
            ),
        ]  # fmt: skip
    return verdicts


def _hidden_table(found: dict[str, dict[int, float]]) -> Table:
    return Table(
        "Signals per second when every answer takes one second",
        ["calls in flight", "this sidecar", "bare aiohttp POST", "most possible"],
        [
            [str(count), compact(rate), compact(found["aiohttp"][count]), str(count)]
            for count, rate in found["sidecar"].items()
        ],
        "Latency hides behind concurrency: what a signal costs is CPU, not waiting.",
    )


def _hidden_chart(found: dict[str, dict[int, float]]) -> Chart:
    series = {
        SHOWN[name]: [[float(count), rate] for count, rate in rates.items()] for name, rates in found.items()
    }
    return Chart(
        "latency", "Answers that take a second", "calls in flight", "signals per second", series,
        log_x=True, log_y=True,
    )  # fmt: skip
