"""The sidecar as one object, with everything real in it."""

from __future__ import annotations

import asyncio
import csv
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from llm_integration import LLMAnalysis, LLMConfig, Sidecar
from llm_integration.csv_exporter import RESULT_FILE, SIGNAL_FILE
from llm_integration.domain import Bar, TaskStatus
from llm_integration.record import DatabaseError
from llm_integration.sidecar import CLOSE
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.chaos.program import connected, outbox_entries
from tests.chaos.proxy import FaultProxy, postgres_target
from tests.integration.database_helpers import T0
from tests.unit.worker_parts import signal_mapping


@pytest.fixture
async def simulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenRouterSimulator]:
    async with OpenRouterSimulator(latency_seconds=(0.01, 0.05), log_size=1_000) as running:
        monkeypatch.setenv("OPENROUTER_API_KEY", SIMULATED_KEY)
        monkeypatch.setenv("OPENROUTER_BASE_URL", running.base_url)
        yield running


def config(folder: Path, **values: Any) -> LLMConfig:
    return LLMConfig(**{"requests_per_minute": 10_000, "csv_output_directory": str(folder / "out"), **values})


def file_rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


async def test_a_signal_goes_in_and_its_rating_comes_out(
    simulator: OpenRouterSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By waiting for it, by a callback, and in the files; without PostgreSQL, and nothing is left running."""
    monkeypatch.chdir(tmp_path)
    heard: list[LLMAnalysis] = []

    async def hear(analysis: LLMAnalysis) -> None:
        heard.append(analysis)

    before = asyncio.all_tasks()
    async with Sidecar(config(tmp_path)) as sidecar:
        sidecar.subscribe(hear)
        assert await sidecar.rating("ES-1") is None
        assert sidecar.add_signal(signal_mapping("ES-1", symbol="ES", timestamp=T0.isoformat()))
        sidecar.add_bar(Bar(T0, 1.0, 1.2, 0.9, 1.1, 5.0), symbol="ES")
        first, second = await asyncio.gather(sidecar.rating("ES-1", 10), sidecar.rating("ES-1", 10))
        assert first is not None
        assert first is second
        assert first.rating in range(1, 6)
        assert await sidecar.rating("ES-2", timeout=0.05) is None
        assert await sidecar.drain(5)
        assert sidecar.statistics()["rated"] == 1
    assert [analysis.signal_id for analysis in heard] == ["ES-1"]
    assert [row["signal_id"] for row in file_rows(tmp_path / "out" / SIGNAL_FILE)] == ["ES-1"]
    (bar,) = file_rows(tmp_path / "out" / RESULT_FILE)
    assert (bar["signal_id"], bar["llm_rating"]) == ("ES-1", str(first.rating))
    assert asyncio.all_tasks() == before


async def test_what_is_no_signal_never_raises(simulator: OpenRouterSimulator, tmp_path: Path) -> None:
    """Into the host's loop comes a False, and into the log a line."""
    async with Sidecar(config(tmp_path, max_memory_signals=1), sinks=()) as sidecar:
        for odd in (None, 5, {}, {"signal_id": ""}, {"signal_id": "x", "signal_data": 5}, [1], "text"):
            assert sidecar.add_signal(odd) is False  # type: ignore[arg-type]
        assert sidecar.statistics()["refused_signals"] == 7
        assert simulator.counters["chat_requests"] == 0


@pytest.mark.postgres
async def test_a_session_is_stored_and_taken_up_again_by_its_name(
    simulator: OpenRouterSimulator, database_url: str, tmp_path: Path
) -> None:
    """What one sidecar left unanswered the next of that session answers; another session's is left alone."""
    simulator.script(*["unknown_key"] * 50)
    for session in ("mine", "other"):
        async with Sidecar(config(tmp_path), database_url=database_url, session=session) as first:
            assert first.add_signal(signal_mapping(f"of {session}"))
            assert await first.rating(f"of {session}", 0.5) is None
    simulator.clear_script()
    async with Sidecar(config(tmp_path), database_url=database_url, session="mine") as again:
        analysis = await again.rating("of mine", 10)
        assert analysis is not None
        assert analysis.status is TaskStatus.COMPLETED
        assert await again.rating("of other", 0.3) is None
    async with connected(database_url) as link:
        tasks = await link.fetch("SELECT signal_id, status FROM llm_enhancement_tasks ORDER BY 1")
        sessions = await link.fetch("SELECT DISTINCT session_id FROM trading_signals ORDER BY 1")
    assert [tuple(row) for row in tasks] == [("of mine", "completed"), ("of other", "pending")]
    assert [row[0] for row in sessions] == ["mine", "other"]


@pytest.mark.postgres
async def test_a_file_says_everything(
    simulator: OpenRouterSimulator, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both blocks, paths beside the file, and without a database block no PostgreSQL."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    file = tmp_path / "config.json"
    file.write_text(
        json.dumps({"llm": {"csv_output_directory": "mine"}, "database": {"url": database_url}}), "utf-8"
    )
    async with Sidecar.from_config(file) as sidecar:
        assert sidecar.add_signal(signal_mapping("a"))
        assert await sidecar.rating("a", 10) is not None
        assert await sidecar.drain(5)
    assert (tmp_path / "mine" / SIGNAL_FILE).exists()
    async with connected(database_url) as link:
        assert await link.fetchval("SELECT count(*) FROM llm_analysis_results") == 1
    file.write_text(json.dumps({"llm": {"csv_output_directory": "mine"}}), "utf-8")
    async with Sidecar.from_config(file) as alone:
        assert alone.statistics()["outbox"] is None


@pytest.mark.postgres
async def test_it_ends_within_its_bounds_and_loses_nothing_while_postgresql_is_silent(
    simulator: OpenRouterSimulator, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every answer that was heard is in file and outbox, also when the host is cancelled in mid-end."""
    monkeypatch.chdir(tmp_path)
    heard: list[str] = []
    async with FaultProxy(postgres_target(database_url)) as proxy:
        url = proxy.postgres_url(database_url)

        async def host() -> None:
            told = lambda analysis: heard.append(analysis.signal_id)  # noqa: E731  a host of one line
            async with Sidecar(config(tmp_path), database_url=url, told=told) as sidecar:
                for number in range(60):
                    sidecar.add_signal(signal_mapping(f"s-{number}"))
                await sidecar.rating("s-5", 10)
                proxy.black_hole()
                await asyncio.sleep(60)

        task = asyncio.create_task(host())
        while len(heard) < 20:  # noqa: ASYNC110  whatever has been heard by then
            await asyncio.sleep(0.01)
        began = time.monotonic()
        task.cancel()
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.wait({task})
        assert time.monotonic() - began < CLOSE.total + 1
        assert task.cancelled()
    async with connected(database_url) as link:
        stored = {row[0] for row in await link.fetch("SELECT signal_id FROM llm_analysis_results")}
    kept = {key for kind, key, _ in outbox_entries(tmp_path / ".tradent" / "outbox") if kind == "outcome"}
    in_file = [row["signal_id"] for row in file_rows(tmp_path / "out" / SIGNAL_FILE)]
    assert sorted(in_file) == sorted(heard)
    assert len(set(heard)) == len(heard)
    assert set(heard) <= stored | kept


async def test_a_database_that_is_required_and_away_refuses_the_start(
    simulator: OpenRouterSimulator, tmp_path: Path
) -> None:
    """One clear error, and nothing is left running. With a URL alone results go to the other sinks."""
    file = tmp_path / "config.json"
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    file.write_text(json.dumps({"llm": {}, "database": {"url": nowhere}}), "utf-8")
    before = asyncio.all_tasks()
    with pytest.raises(DatabaseError, match=r"127\.0\.0\.1:9"):
        await Sidecar.from_config(file, sinks=()).start()
    assert asyncio.all_tasks() == before
    async with Sidecar(config(tmp_path), database_url=nowhere) as sidecar:
        assert sidecar.add_signal(signal_mapping("a"))
        assert await sidecar.rating("a", 10) is not None


async def test_without_a_key_it_is_off_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent; a host may ask why."""
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    async with Sidecar(config(tmp_path), sinks=()) as sidecar:
        assert "OPENROUTER_API_KEY" in (sidecar.off_reason or "")
        assert sidecar.add_signal(signal_mapping("a"))
        assert await sidecar.rating("a", 0.05) is None


async def test_it_is_used_once(simulator: OpenRouterSimulator, tmp_path: Path) -> None:
    """Before the start there is no worker to ask, after the end no second start; closing twice is fine."""
    sidecar = Sidecar(config(tmp_path), sinks=())
    with pytest.raises(RuntimeError, match="not started"):
        sidecar.statistics()
    await sidecar.start()
    await sidecar.start()
    await sidecar.close()
    await sidecar.close()
    with pytest.raises(RuntimeError, match="closed"):
        await sidecar.start()


def test_the_bounds_of_its_end_add_up() -> None:
    """To ten seconds at most, as the guarantees say."""
    assert CLOSE.total <= 10.0
