"""Two programs on one database and in one output folder: killed, frozen, and taken over from."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llm_integration import LLMConfig
from llm_integration.csv_exporter import SIGNAL_FILE
from llm_integration.simulator import OpenRouterSimulator
from tests.chaos.kill_rounds import requests_by_signal, shorten_leases
from tests.chaos.program import Program, connected, rows, soon
from tests.chaos.truth import compare, end_state, expected_signals, slice_of_bars

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

A, B = "EURUSD", "GBPUSD"
LEASE, POLL = 1.0, 0.2
BARS = 150
RESERVATION_SECONDS = 15.0
"""How long a task that was recorded and not yet claimed is kept for the process that recorded it."""
TAKE_OVER_SECONDS = 30.0


@asynccontextmanager
async def pair(
    url: str,
    folder: Path,
    latency: tuple[float, float],
    *,
    bars: int = BARS,
    speed: float = 150.0,
    **llm: Any,
) -> AsyncIterator[tuple[Program, Program, OpenRouterSimulator]]:
    """Two programs over different bars that share everything else; ended whatever happens."""
    async with OpenRouterSimulator(latency_seconds=latency, log_size=10_000) as simulator:
        a, b = (
            Program(
                folder / symbol, url, simulator.base_url, slice_of_bars(folder, first, bars), speed=speed,
                symbol=symbol, follow=symbol == B, output=folder / "out", adopt=True,
                llm={"lease_seconds": LEASE, "poll_interval": POLL, **llm},
                database={"outbox_directory": str(folder / "outbox")},
            )
            for symbol, first in ((A, 0), (B, 2_400))
        )  # fmt: skip
        try:
            yield a, b, simulator
        finally:
            await a.close()
            await b.close()


async def working_on(url: str, symbol: str) -> set[str]:
    """Signals of ``symbol`` that a worker has claimed and not finished."""
    async with connected(url) as link:
        found = await link.fetch(
            "SELECT signal_id FROM llm_enhancement_tasks JOIN trading_signals USING (signal_id)"
            " WHERE status = 'processing' AND symbol = $1", symbol,
        )  # fmt: skip
    return {row[0] for row in found}


async def generations(url: str, ids: set[str]) -> dict[str, str]:
    """The generation ids of the answers about these signals, as far as there are any."""
    async with connected(url) as link:
        sql = "SELECT signal_id, generation_id FROM llm_analysis_results WHERE signal_id = ANY ($1)"
        return {row[0]: row[1] for row in await link.fetch(sql, list(ids))}


async def end_b(url: str, b: Program) -> None:
    """B would follow its file for ever: it is stopped when its bars are answered and written."""
    wanted = len(expected_signals(b.bars, B))

    async def done() -> bool:
        state = await end_state(url, b.out, B)
        return len(state.bar_rows) == len(state.bars) == BARS and len(state.signal_rows) == wanted

    await b.until(done)
    b.send(signal.SIGTERM)
    await b.finish()


async def problems(url: str, a: Program, b: Program) -> list[str]:
    """What is wrong with the ends of both sessions."""
    found = []
    for program, ended in ((a, "completed"), (b, "stopped")):
        state = await end_state(url, program.out, program.symbol)
        texts = compare(program, state, None, ended=ended).problems
        found += [f"{program.symbol}: {text}" for text in texts]
    return found


async def test_two_programs_share_a_database_and_a_folder(database_url: str, tmp_path: Path) -> None:
    """One of them killed and started again: no row of either is mixed, lost, doubled or asked about twice."""
    async with pair(database_url, tmp_path, (0.02, 0.2)) as (a, b, simulator):
        await asyncio.gather(a.start(), b.start())
        await simulator.wait_for_requests(20)
        assert await a.kill()
        killed_at = time.monotonic()
        await shorten_leases(database_url)
        await a.start()
        await a.finish()
        await end_b(database_url, b)
        assert await problems(database_url, a, b) == []
        assert "Traceback" not in a.log + b.log
        asked = requests_by_signal(simulator)
        twice = {at for at, times in asked.items() if len([t for t in times if t > killed_at]) > 1}
        assert not twice
        owners = {row["signal_id"]: row["symbol"] for row in rows(a.out / SIGNAL_FILE)}
        assert set(owners.values()) == {A, B}


async def take_over(url: str, folder: Path, **llm: Any) -> float:
    """Seconds from the kill of A until B has answered what A was working on."""
    async with pair(url, folder, (0.3, 0.4), **llm) as (a, b, simulator):
        await b.start()
        await b.until(lambda: b.answers_written() >= 1)
        await a.start()
        await a.until(lambda: _some_of(url, A))
        assert await a.kill()
        started, held = time.monotonic(), await working_on(url, A)
        assert held

        async def answered() -> bool:
            return set(await generations(url, held)) == held

        await soon(answered, TAKE_OVER_SECONDS)
        took = time.monotonic() - started
        await simulator.stop()
        return took


async def _some_of(url: str, symbol: str) -> bool:
    return len(await working_on(url, symbol)) >= 3


async def test_tasks_of_a_killed_program_are_taken_over(database_url: str, tmp_path: Path) -> None:
    """Another program answers them within lease, poll interval and one answer; by default that is in 30 s."""
    took = await take_over(database_url, tmp_path)
    assert LEASE / 2 < took < LEASE + POLL + 2.5  # the heartbeat, and an answer on a busy machine
    defaults = LLMConfig()
    assert max(defaults.lease_seconds, RESERVATION_SECONDS) + defaults.poll_interval < TAKE_OVER_SECONDS


async def test_a_frozen_program_cannot_overwrite_its_successor(database_url: str, tmp_path: Path) -> None:
    """SIGSTOP past the lease, its tasks answered by another, SIGCONT: the late answers are refused."""
    async with pair(database_url, tmp_path, (0.5, 0.6)) as (a, b, _):
        await b.start()
        await b.until(lambda: b.answers_written() >= 1)
        await a.start()
        await a.until(lambda: _some_of(database_url, A))
        a.send(signal.SIGSTOP)
        held = await working_on(database_url, A)
        try:

            async def answered() -> bool:
                return set(await generations(database_url, held)) == held

            await soon(answered, 20)
            by_b = await generations(database_url, held)
        finally:
            a.send(signal.SIGCONT)
        await a.finish()
        await end_b(database_url, b)
        assert await generations(database_url, held) == by_b
        assert a.log.count("this answer is not stored") >= 1
        in_file = [row["signal_id"] for row in rows(a.out / SIGNAL_FILE)]
        assert len(in_file) == len(set(in_file))
        assert held <= set(in_file)
        # Its own bars of those signals may stay without the rating, which stands everywhere else.
        left = [text for text in await problems(database_url, a, b) if "not the rating" not in text]
        assert left == []
