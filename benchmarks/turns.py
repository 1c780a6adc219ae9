"""Several sides, each in its process, taking turns at the same work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.figures import median
from benchmarks.sides import NEEDS, Postgres, Side, SideError, missing, side

__all__ = ["Bursts", "open_sides", "take_turns"]


class Bursts:
    """What one side's bursts took, per signal."""

    def __init__(self) -> None:
        self.rate: list[float] = []
        self.cpu_ms: list[float] = []
        self.loop_ms: list[float] = []

    def add(self, answer: Mapping[str, Any]) -> None:
        """Take one burst in."""
        self.rate.append(answer["count"] / answer["wall"])
        self.cpu_ms.append(answer["cpu"] / answer["count"] * 1000)
        self.loop_ms.append(answer["loop_cpu"] / answer["count"] * 1000)

    def as_dict(self) -> dict[str, list[float]]:
        """Every turn's figures."""
        return {"signals_per_second": self.rate, "cpu_ms": self.cpu_ms, "loop_cpu_ms": self.loop_ms}


def ratio(mine: Sequence[float], other: Sequence[float]) -> list[float]:
    """Turn by turn: what one side took over what the other took next to it."""
    return [a / b for a, b in zip(mine, other, strict=True)]


@asynccontextmanager
async def open_sides(
    names: Sequence[str],
    server: str,
    postgres: Postgres | None,
    folder: Path,
    skipped: list[str],
    *,
    path: str = "v1",
    loop: str = "asyncio",
    **setup: Any,
) -> AsyncIterator[dict[str, Side]]:
    """The sides that can take part; why the others cannot goes to ``skipped``."""
    async with AsyncExitStack() as stack:
        ready: dict[str, Side] = {}
        for name in names:
            if reason := missing(name):
                skipped.append(reason)
                continue
            one = await stack.enter_async_context(side(name, loop))
            options = {"base_url": f"{server}/{path}", "tag": name, **setup}
            if name == "sidecar" and postgres is not None:
                options |= {"dsn": await postgres.database(), "folder": str(folder / f"{loop}-{path}")}
            try:
                await one.ask("open", **options)
            except SideError as error:
                if name not in NEEDS:
                    raise
                skipped.append(f"{name}: skipped, it cannot be used here ({error})")
                continue
            ready[name] = one
        yield ready
        for one in ready.values():
            await one.ask("close")


async def take_turns(sides: Mapping[str, Side], counts: Mapping[str, int], turns: int) -> dict[str, Bursts]:
    """A B C, A B C, ...; one turn before them to warm up, which is not counted."""
    bursts = {name: Bursts() for name in sides}
    for turn in range(turns + 1):
        for name, one in sides.items():
            answer = await one.ask("burst", count=counts.get(name, counts["*"]))
            if turn:
                bursts[name].add(answer)
    return bursts


def medians(bursts: Mapping[str, Bursts]) -> dict[str, dict[str, float]]:
    """The middle of each side's turns."""
    return {
        name: {key: median(values) for key, values in one.as_dict().items()} for name, one in bursts.items()
    }
