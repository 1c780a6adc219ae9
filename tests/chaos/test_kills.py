"""kill -9 at seeded random moments, and in an outage: the end is that of a run nobody disturbed."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llm_integration.simulator import OpenRouterSimulator
from tests.chaos.kill_rounds import (
    LATENCY_SECONDS,
    answers_in,
    answers_on_disk,
    plan_rounds,
    requests_by_signal,
    run_rounds,
    shorten_leases,
)
from tests.chaos.program import Program, connected, outbox_entries, whole_lines
from tests.chaos.proxy import FaultProxy, postgres_target
from tests.chaos.report import Report
from tests.chaos.truth import compare, end_state, expected_signals, slice_of_bars, torn_lines
from tests.conftest import PostgresForTests

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

SEED = 20261123
KILLS = 6


async def test_killed_runs_end_like_undisturbed_ones(postgres: PostgresForTests, tmp_path: Path) -> None:
    """Bars, signals, tasks, results, ratings and rows: each once, none torn, none odd, none paid twice."""
    report = Report(SEED)
    await run_rounds(plan_rounds(KILLS, SEED), tmp_path, postgres.create, report)
    assert report.good, "\n".join(report.lines())
    assert report.kills >= KILLS - 2  # a kill may come after the end of its process
    assert report.answers_durable > 0


async def test_what_waits_for_postgresql_survives_a_kill(database_url: str, tmp_path: Path) -> None:
    """Signals and paid answers in the outbox are in PostgreSQL after the next start, and not asked again."""
    async with (
        OpenRouterSimulator(latency_seconds=LATENCY_SECONDS, log_size=10_000) as simulator,
        FaultProxy(postgres_target(database_url)) as proxy,
    ):
        program = Program(
            tmp_path, proxy.postgres_url(database_url), simulator.base_url, slice_of_bars(tmp_path, 0, 400)
        )
        await program.start()
        try:
            await program.until(lambda: program.answers_written() >= 3)
            proxy.black_hole()
            await program.until(lambda: len(answers_on_disk(program.outbox)) >= 12)
            asked = len(simulator.requests)
            assert await program.kill()
            kept, entries = answers_on_disk(program.outbox), outbox_entries(program.outbox)
            await proxy.heal()
            await program.start()
            await program.finish()
        finally:
            await program.close()
        state = await end_state(database_url, program.out)
        found = compare(program, state, None)
        again = {at for at, times in requests_by_signal(_later(simulator, asked)).items() if times}
    assert not found.problems
    assert len(kept) >= 12
    assert kept.items() <= state.generations.items()
    assert not again & set(kept)
    waiting = {datetime.fromisoformat(body["signal"]["timestamp"]) for _, _, body in entries}
    assert waiting <= {signal[0] for signal in state.signals}


async def test_answers_stored_before_the_first_bar_reach_the_files(database_url: str, tmp_path: Path) -> None:
    """Killed before a bar was stored, PostgreSQL away just after the start: all is there, once."""
    async with (
        OpenRouterSimulator(latency_seconds=LATENCY_SECONDS, log_size=10_000) as simulator,
        FaultProxy(postgres_target(database_url)) as proxy,
    ):
        program = Program(
            tmp_path, proxy.postgres_url(database_url), simulator.base_url, slice_of_bars(tmp_path, 0, 300)
        )
        await program.start()
        try:
            await program.until(lambda: program.answers_written() >= 8)
            assert await program.kill()
            await shorten_leases(database_url)
            async with connected(database_url) as link:
                await link.execute("DELETE FROM market_data")
            shutil.rmtree(program.out)
            kept, asked = await answers_in(database_url), len(simulator.requests)
            await program.start()
            await program.until(lambda: program.log.count("bars 0/300 ") >= 2)
            assert "goes on after the bar of None" in program.log
            await proxy.refuse()
            await program.until(lambda: program.bars_traded() >= 150)
            await proxy.heal()
            await program.finish()
        finally:
            await program.close()
        state = await end_state(database_url, program.out)
        again = requests_by_signal(_later(simulator, asked))
    assert compare(program, state, None).problems == []
    assert kept.items() <= state.generations.items()
    assert not set(again) & set(kept)


class _Later:
    """What a simulator was asked from some request on."""

    def __init__(self, requests: list[Any]) -> None:
        self.requests = requests


def _later(simulator: OpenRouterSimulator, asked: int) -> Any:
    return _Later(list(simulator.requests)[asked:])


def test_the_same_seed_plans_the_same_kills() -> None:
    """A report names its seed, and so a round can be played again; another seed kills elsewhere."""
    assert plan_rounds(40, 1) == plan_rounds(40, 1)
    assert plan_rounds(40, 1) != plan_rounds(40, 2)
    assert sum(len(plan.kills) for plan in plan_rounds(37, 3)) == 37


def test_torn_and_doubled_lines_are_seen(tmp_path: Path) -> None:
    """The check that counts torn lines finds a missing end, a missing cell and a second header."""
    file = tmp_path / "file.csv"
    for text, torn in (
        ("a,b\n1,2\n", 0),
        ("a,b\n1,2\n3,4", 1),
        ("a,b\n1,2\n3\n4,5\n", 1),
        ("a,b\n1,2\na,b\n3,4\n", 1),
    ):
        file.write_text(text)
        assert torn_lines(file, ("a", "b")) == torn
    assert whole_lines(tmp_path / "none.csv") == 0


def test_the_expected_signals_come_from_the_strategy_alone(tmp_path: Path) -> None:
    """The slices that are killed hold signals in number, the first of them where the warm-up ends."""
    found = expected_signals(slice_of_bars(tmp_path, 0, 300))
    assert 50 <= len(found) <= 100
    assert found[0][0] < datetime(2017, 1, 3, tzinfo=UTC)


async def test_a_program_that_ends_too_early_fails_the_wait(tmp_path: Path) -> None:
    """``until`` reports a process that died instead of waiting for ever."""
    program = Program(tmp_path, "postgresql://127.0.0.1:1/none", "http://127.0.0.1:1", tmp_path / "none.csv")
    await program.start()
    with pytest.raises(AssertionError, match="no such file"):
        await program.until(lambda: False)
    assert await asyncio.wait_for(program.ended(), 5) == 2
