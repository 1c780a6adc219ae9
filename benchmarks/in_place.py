"""What each part of the sidecar adds to a call while everything else is going on around it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from benchmarks.figures import median, spread
from benchmarks.outcome import Options, Table
from benchmarks.sides import Postgres, scratch, side
from benchmarks.turns import Bursts, ratio, take_turns

__all__ = ["in_place_table"]

STEPS = {
    "bare": ("aiohttp", "bare aiohttp POST"),
    "client": ("client", "LLMProcessor: limits, deadline, POST, classification, scrubbing"),
    "by hand": ("by hand", "and the host's mapping read, the prompt written, the reply parsed"),
    "worker": ("sidecar", "and the worker: queue, order, outcome, health, callbacks"),
    "csv": ("sidecar", "and the CSV files"),
    "all": ("sidecar", "and PostgreSQL: signal, task, claim, result"),
}
"""Each step, the caller that does it, and what it does beside the one before."""


async def in_place_table(
    server: str, postgres: Postgres, options: Options, concurrency: int
) -> tuple[Table, dict[str, Any]]:
    """CPU microseconds per signal of every step, each in a process of its own, in turns."""
    with scratch() as folder:
        async with AsyncExitStack() as stack:
            sides = {}
            for name, (caller, _) in STEPS.items():
                one = await stack.enter_async_context(side(caller))
                setup = {"base_url": f"{server}/v1", "tag": name, "concurrency": concurrency}
                if name in ("csv", "all"):
                    setup["folder"] = str(folder / name)
                if name == "all":
                    setup["dsn"] = await postgres.database()
                await one.ask("open", **setup)
                sides[name] = one
            found = await take_turns(sides, {"*": options.pick(1500, 60)}, options.pick(5, 2))
            for one in sides.values():
                await one.ask("close")
    return _table(found), {name: one.as_dict() for name, one in found.items()}


def _table(found: dict[str, Bursts]) -> Table:
    bare = found["bare"].cpu_ms
    rows: list[list[Any]] = []
    before = 0.0
    for name, (_, what) in STEPS.items():
        cpu = [value * 1000 for value in found[name].cpu_ms]
        middle = median(cpu)
        rows.append([what, spread(cpu), f"{middle - before:+.0f}", spread(ratio(found[name].cpu_ms, bare))])
        before = middle
    return Table(
        "Step by step, in place: microseconds of CPU of the client's process per signal, all threads",
        ["what is done", "us, median (range)", "more than above", "CPU / bare POST"], rows,
        "The same stages cost about twice what they do alone and warm (below): between two replies the "
        "processor's caches and branch predictors have seen everything else.",
    )  # fmt: skip
